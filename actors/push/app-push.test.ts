/** APNs and FCM against doubles: over HTTP/2 with a real server on the loopback where the adapter counts, else by an injected one. */

import { createPublicKey, createVerify, generateKeyPairSync, verify } from 'node:crypto';
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { createServer as createHttpServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { LIMITS } from '../limits.ts';
import { createApns } from './apns.ts';
import { createFcm } from './fcm.ts';
import { fetchTransport, Http2Transport } from './http-transport.ts';
import type { PushRequest, PushResponse } from './provider.ts';

const NOW = 1_700_000_000_000;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });

function claimsOf(token: string): [head: Record<string, unknown>, claims: Record<string, unknown>] {
  const [head, claims] = token.split('.');
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  return [read(head!), read(claims!)];
}

function apns(answer: PushResponse | Error, clock = { nowMs: () => NOW }) {
  const requests: PushRequest[] = [];
  const provider = createApns({
    ...{ origin: 'https://api.push.apple.com', topic: 'org.example.app', teamId: 'TEAM', keyId: 'KEY' },
    key: ec.privateKey,
    transport: async (request) => {
      requests.push(request);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    clock,
  });
  return { provider, requests };
}

const IPHONE = { platform: 'apns', token: 'aB'.repeat(32) } as const;

t.test('APNs: a background notification without anything to show, under a token of the operator', async (t) => {
  let now = NOW;
  const { provider, requests } = apns({ status: 200, headers: {}, body: '' }, { nowMs: () => now });
  t.ok(provider.accepts(IPHONE));
  t.same(await provider.wake(IPHONE), { kind: 'sent' });
  const [request] = requests;
  t.equal(request!.url, `https://api.push.apple.com/3/device/${'ab'.repeat(32)}`);
  t.match(request!.headers, {
    'apns-topic': 'org.example.app',
    'apns-push-type': 'background',
    'apns-priority': '5',
    'apns-collapse-id': 'wake',
    'apns-expiration': String(NOW / 1_000 + LIMITS.wakeTtlSeconds),
  });
  t.same(JSON.parse(Buffer.from(request!.body).toString()), { aps: { 'content-available': 1 } });
  const token = request!.headers['authorization']!.replace('bearer ', '');
  t.same(claimsOf(token), [
    { typ: 'JWT', alg: 'ES256', kid: 'KEY' },
    { iss: 'TEAM', iat: NOW / 1_000 },
  ]);
  const [text, signature] = [token.slice(0, token.lastIndexOf('.')), token.slice(token.lastIndexOf('.') + 1)];
  const key = { key: createPublicKey(ec.privateKey), dsaEncoding: 'ieee-p1363' } as const;
  t.ok(verify('sha256', Buffer.from(text), key, Buffer.from(signature, 'base64url')));
  now += LIMITS.apnsTokenAgeMs - 1;
  await provider.wake(IPHONE);
  now += 1;
  await provider.wake(IPHONE);
  const tokens = requests.map(({ headers }) => headers['authorization']);
  t.equal(tokens[0], tokens[1], 'kept: APNs takes no more than one in twenty minutes');
  t.not(tokens[1], tokens[2], 'renewed: nor one that is older than an hour');
});

const APNS_OUTCOMES = [
  [410, '{"reason":"Unregistered"}', { kind: 'gone' }],
  [400, '{"reason":"BadDeviceToken"}', { kind: 'gone' }],
  [400, '{"reason":"BadTopic"}', { kind: 'failed', reason: 'BadTopic' }],
  [403, '{"reason":"InvalidProviderToken"}', { kind: 'failed', reason: 'InvalidProviderToken' }],
  [403, '{"reason":"<script>"}', { kind: 'failed', reason: 'status 403' }],
  [429, '{"reason":"TooManyRequests"}', { kind: 'later' }],
  [503, 'not json', { kind: 'later', reason: 'status 503' }],
] as const;

t.test('APNs: reasons', async (t) => {
  for (const [status, body, expected] of APNS_OUTCOMES) {
    t.match(await apns({ status, headers: {}, body }).provider.wake(IPHONE), expected, body);
  }
  const { provider, requests } = apns(new Error('down'));
  t.match(await provider.wake(IPHONE), { kind: 'later' });
  const bad = { platform: 'apns', token: '../../3/other' } as const;
  t.notOk(provider.accepts(bad));
  t.same(await provider.wake(bad), { kind: 'gone' });
  t.equal(requests.length, 1, 'no request with a token that is none');
});

const PHONE = { platform: 'fcm', token: 'cXyZ:APA91b-_0123456789' } as const;

/** FCM and the place where access tokens are had. */
function fcm(answer: PushResponse) {
  const requests: PushRequest[] = [];
  const clock = { ms: NOW };
  const grant = { status: 200, headers: {}, body: '{"access_token":"ya29.x","expires_in":3600}' };
  const answers = { grant: grant as PushResponse, message: answer };
  const provider = createFcm({
    ...{ projectId: 'project-1', clientEmail: 'server@project-1.example', key: rsa.privateKey },
    ...{ tokenUrl: 'https://oauth2.googleapis.com/token', origin: 'https://fcm.googleapis.com' },
    transport: async (request) => {
      requests.push(request);
      return request.url.includes('oauth2') ? answers.grant : answers.message;
    },
    clock: { nowMs: () => clock.ms },
  });
  return { provider, requests, clock, answers };
}

t.test('FCM: an assertion is exchanged once an hour, and the message holds nothing to show', async (t) => {
  const { provider, requests, clock } = fcm({ status: 200, headers: {}, body: '{"name":"x"}' });
  t.ok(provider.accepts(PHONE));
  t.same(await Promise.all([provider.wake(PHONE), provider.wake(PHONE)]), [{ kind: 'sent' }, { kind: 'sent' }]);
  const [grant, message] = requests;
  t.equal(requests.filter(({ url }) => url.includes('oauth2')).length, 1, 'one exchange for both');
  const form = new URLSearchParams(Buffer.from(grant!.body).toString());
  const assertion = form.get('assertion')!;
  t.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
  t.match(claimsOf(assertion), [
    { alg: 'RS256' },
    { iss: 'server@project-1.example', aud: 'https://oauth2.googleapis.com/token', iat: NOW / 1_000 },
  ]);
  const [text, signature] = [
    assertion.slice(0, assertion.lastIndexOf('.')),
    assertion.slice(assertion.lastIndexOf('.') + 1),
  ];
  t.ok(createVerify('sha256').update(text).verify(rsa.publicKey, Buffer.from(signature, 'base64url')));
  t.equal(message!.url, 'https://fcm.googleapis.com/v1/projects/project-1/messages:send');
  t.equal(message!.headers['authorization'], 'Bearer ya29.x');
  t.same(JSON.parse(Buffer.from(message!.body).toString()), {
    message: {
      token: PHONE.token,
      data: { type: 'wake' },
      android: { priority: 'HIGH', ttl: `${LIMITS.wakeTtlSeconds}s`, collapse_key: 'wake' },
    },
  });
  clock.ms += 3_600_000 - LIMITS.accessTokenMarginMs;
  await provider.wake(PHONE);
  t.equal(requests.filter(({ url }) => url.includes('oauth2')).length, 2, 'renewed before it ends');
});

t.test('FCM: outcomes, also of the exchange', async (t) => {
  const unregistered = '{"error":{"status":"NOT_FOUND","details":[{"errorCode":"UNREGISTERED"}]}}';
  t.match(await fcm({ status: 404, headers: {}, body: unregistered }).provider.wake(PHONE), { kind: 'gone' });
  t.match(await fcm({ status: 404, headers: {}, body: '{}' }).provider.wake(PHONE), { kind: 'failed' });
  const busy = { status: 503, headers: { 'retry-after': '30' }, body: '' };
  t.match(await fcm(busy).provider.wake(PHONE), { kind: 'later', afterMs: 30_000 });
  const refused = fcm({ status: 401, headers: {}, body: '' });
  t.match(await refused.provider.wake(PHONE), { kind: 'failed', reason: 'status 401' });
  await refused.provider.wake(PHONE);
  t.equal(refused.requests.filter(({ url }) => url.includes('oauth2')).length, 2, 'a refused token is not used again');
  const closed = fcm({ status: 200, headers: {}, body: '' });
  closed.answers.grant = { status: 400, headers: {}, body: '{"error":"invalid_grant"}' };
  t.match(await closed.provider.wake(PHONE), { kind: 'failed', reason: 'no access token' });
  closed.answers.grant = { status: 500, headers: {}, body: '' };
  t.match(await closed.provider.wake(PHONE), { kind: 'later' });
  t.notOk(closed.provider.accepts({ platform: 'fcm', token: 'short' }));
});

async function listen(t: Test, server: Http2Server | Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('over real HTTP/2: one session serves many requests, and a new one when it has ended', async (t) => {
  const server = createServer();
  const seen: string[] = [];
  server.on('stream', (stream, headers) => {
    seen.push(`${headers[':method']} ${headers[':path']} ${headers['apns-topic']}`);
    stream.respond({ ':status': 410, 'retry-after': '7' });
    stream.end('{"reason":"Unregistered"}');
  });
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  const origin = await listen(t, server);
  const http2 = new Http2Transport();
  t.teardown(() => http2.close());
  const request = (): PushRequest => ({
    method: 'POST',
    url: `${origin}/3/device/ab`,
    headers: { 'apns-topic': 'x' },
    body: new Uint8Array(3),
  });
  const answers = await Promise.all([http2.send(request()), http2.send(request())]);
  t.match(answers[0], { status: 410, headers: { 'retry-after': '7' }, body: '{"reason":"Unregistered"}' });
  t.same(seen, ['POST /3/device/ab x', 'POST /3/device/ab x']);
  t.equal(sessions.length, 1);
  sessions[0]!.destroy();
  // Until the end of the session is heard of, a request of it fails.
  let again: PushResponse | undefined;
  while (again === undefined) again = await http2.send(request()).catch(() => undefined);
  t.match(again, { status: 410 });
  t.equal(sessions.length, 2);
  server.removeAllListeners('stream');
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.close(2);
  });
  await t.rejects(http2.send(request()), 'a stream that is reset');
  await t.rejects(http2.send({ ...request(), url: 'http://127.0.0.1:1/x' }), 'nobody there');
});

t.test('over real HTTP/1.1: no redirect is followed, and no endless answer is read', async (t) => {
  const server = createHttpServer((request, response) => {
    if (request.url === '/redirect') return response.writeHead(307, { location: '/other' }).end();
    response.writeHead(200, { 'x-a': 'b' });
    const more = (): void => {
      if (!response.destroyed) response.write('x'.repeat(10_000), more);
    };
    more();
    return response;
  });
  const origin = await listen(t, server);
  const post = (path: string) =>
    fetchTransport({ method: 'POST', url: `${origin}${path}`, headers: {}, body: new Uint8Array(3) });
  t.match(await post('/redirect'), { status: 307 });
  const { status, headers, body } = await post('/endless');
  t.same([status, headers['x-a'], body.length], [200, 'b', LIMITS.pushAnswerBytesMax]);
});
