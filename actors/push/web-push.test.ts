import { createDecipheriv, createECDH, createPublicKey, hkdfSync, randomBytes, verify } from 'node:crypto';
import t from 'tap';
import { LIMITS } from '../limits.ts';
import type { PushRequest, PushResponse } from './provider.ts';
import { createWebPush, encryptPush, isPushService, vapidKey, WAKE_PAYLOAD } from './web-push.ts';

const SECRET = '42'.repeat(32);

/** RFC 8291, appendix A. */
const VECTOR = {
  plaintext: 'When I grow up, I want to be a watermelon',
  ourPrivate: 'yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw',
  theirPublic: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
  secret: 'BTBZMqHH6r4Tts7J_aSIgg',
  salt: 'DGv6ra1nlYgDCS1FRnbzlw',
  body:
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_' +
    'yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
};

function bytes(text: string): Buffer {
  return Buffer.from(text, 'base64url');
}

t.test('encryption gives the bytes of RFC 8291', async (t) => {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(bytes(VECTOR.ourPrivate));
  const plaintext = Buffer.from(VECTOR.plaintext);
  const keys = { ecdh, salt: bytes(VECTOR.salt) };
  const body = encryptPush(plaintext, bytes(VECTOR.theirPublic), bytes(VECTOR.secret), keys);
  t.equal(Buffer.from(body!).toString('base64url'), VECTOR.body);
  const noPoint = Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]);
  t.equal(encryptPush(plaintext, noPoint, bytes(VECTOR.secret), keys), undefined, 'a key that is no point');
});

/** What a browser does with a body. */
function decrypt(body: Uint8Array, ecdh: ReturnType<typeof createECDH>, secret: Uint8Array): Buffer {
  const salt = body.subarray(0, 16);
  const theirs = body.subarray(21, 21 + body[20]!);
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), ecdh.getPublicKey(), theirs]);
  const both = Buffer.from(hkdfSync('sha256', ecdh.computeSecret(theirs), secret, info, 32));
  const key = Buffer.from(hkdfSync('sha256', both, salt, 'Content-Encoding: aes128gcm\0', 16));
  const nonce = Buffer.from(hkdfSync('sha256', both, salt, 'Content-Encoding: nonce\0', 12));
  const sealed = body.subarray(21 + body[20]!);
  const decipher = createDecipheriv('aes-128-gcm', key, nonce);
  decipher.setAuthTag(sealed.subarray(-16));
  const padded = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
  return padded.subarray(0, padded.lastIndexOf(2));
}

interface Fixture {
  readonly requests: PushRequest[];
  answer: PushResponse | Error;
  nowMs: number;
}

function start() {
  const browser = createECDH('prime256v1');
  browser.generateKeys();
  const secret = new Uint8Array(randomBytes(16));
  const fixture: Fixture = { requests: [], answer: { status: 201, headers: {}, body: '' }, nowMs: 1_700_000_000_000 };
  const provider = createWebPush({
    key: vapidKey(SECRET),
    subject: 'mailto:operator@example.org',
    hosts: [],
    transport: async (request) => {
      fixture.requests.push(request);
      if (fixture.answer instanceof Error) throw fixture.answer;
      return fixture.answer;
    },
    clock: { nowMs: () => fixture.nowMs },
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  const url = 'https://updates.push.services.mozilla.com/wpush/v2/abc';
  const registration = { platform: 'web', url, key: new Uint8Array(browser.getPublicKey()), secret } as const;
  return { fixture, provider, registration, browser, secret };
}

t.test('a wake-up opens in the browser and says nothing but that it is one', async (t) => {
  const { fixture, provider, registration, browser, secret } = start();
  t.ok(provider.accepts(registration));
  t.same(await provider.wake(registration), { kind: 'sent' });
  const [request] = fixture.requests;
  t.match(request, { method: 'POST', url: registration.url });
  t.match(request!.headers, { 'content-encoding': 'aes128gcm', ttl: String(LIMITS.wakeTtlSeconds), topic: 'wake' });
  t.same(decrypt(request!.body, browser, secret), Buffer.from(WAKE_PAYLOAD));
  await provider.wake(registration);
  t.notSame(fixture.requests[1]!.body, request!.body, 'fresh keys for each');
  t.equal(fixture.requests[1]!.body.length, request!.body.length, 'and all of one length');
});

t.test('VAPID: signed for the origin of the push service by the key that the browser subscribed with', async (t) => {
  const { fixture, provider, registration } = start();
  await provider.wake(registration);
  const { authorization } = fixture.requests[0]!.headers as { authorization: string };
  const [, token, key] = /^vapid t=([^,]+), k=(\S+)$/.exec(authorization)!;
  const { publicKey } = vapidKey(SECRET);
  t.equal(key, Buffer.from(publicKey).toString('base64url'));
  const [head, claims, signature] = token!.split('.') as [string, string, string];
  t.same(JSON.parse(bytes(head).toString()), { typ: 'JWT', alg: 'ES256' });
  const { aud, exp, sub } = JSON.parse(bytes(claims).toString()) as Record<string, unknown>;
  t.same([aud, sub], ['https://updates.push.services.mozilla.com', 'mailto:operator@example.org']);
  t.ok((exp as number) * 1_000 > fixture.nowMs && (exp as number) * 1_000 <= fixture.nowMs + 86_400_000);
  const point = Buffer.from(publicKey);
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'));
  const jwk = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: x!, y: y! }, format: 'jwk' });
  const options = { key: jwk, dsaEncoding: 'ieee-p1363' } as const;
  t.ok(verify('sha256', Buffer.from(`${head}.${claims}`), options, bytes(signature)));
  await provider.wake(registration);
  t.equal(fixture.requests[1]!.headers['authorization'], authorization, 'kept');
  fixture.nowMs += LIMITS.vapidAgeMsMax;
  await provider.wake(registration);
  t.not(fixture.requests[2]!.headers['authorization'], authorization, 'and renewed');
});

t.test('the key comes from the secret of the installation: the same again, and another for another', async (t) => {
  t.same(vapidKey(SECRET).publicKey, vapidKey(SECRET).publicKey);
  t.notSame(vapidKey(SECRET).publicKey, vapidKey('43'.repeat(32)).publicKey);
  t.equal(vapidKey(SECRET).publicKey.length, 65);
});

const OUTCOMES = [
  [{ status: 201, headers: {}, body: '' }, { kind: 'sent' }],
  [{ status: 404, headers: {}, body: '' }, { kind: 'gone' }],
  [{ status: 410, headers: {}, body: '' }, { kind: 'gone' }],
  [
    { status: 429, headers: { 'retry-after': '120' }, body: '' },
    { kind: 'later', afterMs: 120_000 },
  ],
  [
    { status: 503, headers: { 'retry-after': 'Wed, 21 Oct 2026' }, body: '' },
    { kind: 'later', afterMs: 0 },
  ],
  [{ status: 302, headers: { location: 'http://127.0.0.1/' }, body: '' }, { kind: 'failed' }],
  [
    { status: 403, headers: {}, body: '' },
    { kind: 'failed', reason: 'status 403' },
  ],
  [Object.assign(new Error('x'), { code: 'ECONNRESET' }), { kind: 'later', reason: 'ECONNRESET' }],
] as const;

t.test('what the push service answers', async (t) => {
  for (const [answer, expected] of OUTCOMES) {
    const { fixture, provider, registration } = start();
    fixture.answer = answer as Fixture['answer'];
    t.match(await provider.wake(registration), expected);
  }
});

t.test('only push services are called, whatever a client registers', async (t) => {
  for (const url of [
    'https://updates.push.services.mozilla.com/x',
    'https://fcm.googleapis.com/fcm/send/x',
    'https://web.push.apple.com/x',
    'https://wns2-par02p.notify.windows.com/w/?token=x',
  ]) {
    t.ok(isPushService(url, []), url);
  }
  for (const url of [
    'https://127.0.0.1/x',
    'https://localhost:7400/',
    'http://fcm.googleapis.com/x',
    'https://fcm.googleapis.com:8443/x',
    'https://fcm.googleapis.com.evil.example/x',
    'https://evilnotify.windows.com/x',
    'https://user:secret@fcm.googleapis.com/x',
    'https://evil.example/?fcm.googleapis.com',
    'https://169.254.169.254/latest/meta-data',
    'file:///etc/passwd',
    'no url',
  ]) {
    t.notOk(isPushService(url, []), url);
  }
  t.ok(isPushService('https://push.example:8443/x', ['push.example:8443']), 'one that the operator names');
  const { fixture, provider, registration } = start();
  const inside = { ...registration, url: 'https://10.0.0.1/x' };
  t.notOk(provider.accepts(inside));
  t.same(await provider.wake(inside), { kind: 'gone' });
  t.equal(fixture.requests.length, 0);
});
