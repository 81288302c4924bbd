import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createTestNode } from '../../runtime/testing/test-node.ts';
import { isStartupError } from '../errors.ts';
import { openPush } from './settings.ts';

const pem = (kind: 'ec' | 'rsa'): string => {
  const { privateKey } =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2_048 });
  return String(privateKey.export({ format: 'pem', type: 'pkcs8' }));
};

function directory(t: Test, files: Readonly<Record<string, unknown>>): string {
  const path = mkdtempSync(join(tmpdir(), 'blindbeam-push-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return path;
}

function open(setting: string) {
  const { node, logged } = createTestNode();
  const push = openPush(setting, { secret: '42'.repeat(32), clock: node.clock, log: node.log });
  return { push, logged };
}

/** What stands in the refusal of a settings file. */
function refusalOf(path: string): string {
  try {
    open(path);
  } catch (error) {
    return isStartupError(error) && error.code === 'APP_CONFIG'
      ? error.message
      : `not refused in words: ${String(error)}`;
  }
  return 'not refused';
}

const ACCOUNT = {
  project_id: 'p-1',
  client_email: 'a@b.example',
  private_key: pem('rsa'),
  token_uri: 'https://oauth2.googleapis.com/token',
};

const WHOLE = {
  web: { subject: 'mailto:operator@example.org' },
  apns: { keyFile: 'key.p8', keyId: 'K', teamId: 'T', topic: 'org.example.app' },
  fcm: { serviceAccountFile: 'account.json' },
};

t.test('none, log, and a file with all three', async (t) => {
  t.equal(open('none').push.providers.size, 0);
  const { push, logged } = open('log');
  t.equal(push.vapidPublicKey?.length, 65);
  t.same(await push.providers.get('apns')!.wake({ platform: 'apns', token: 'secret-token' }), { kind: 'sent' });
  t.match(logged, [{ event: 'wake_up', fields: { platform: 'apns' } }]);
  t.notOk(JSON.stringify(logged).includes('secret-token'), 'a token does not get into the log');
  const path = directory(t, { 'push.json': WHOLE, 'key.p8': pem('ec'), 'account.json': ACCOUNT });
  const whole = open(join(path, 'push.json')).push;
  t.same([...whole.providers.keys()], ['web', 'apns', 'fcm']);
  whole.close();
});

t.test('what is wrong is named, and what it holds is not told', async (t) => {
  const key = pem('ec');
  const files = { 'key.p8': key, 'rsa.p8': pem('rsa'), 'account.json': ACCOUNT, 'bad.json': '{' };
  const path = directory(t, files);
  const refused = (content: unknown): string => {
    writeFileSync(join(path, 'push.json'), typeof content === 'string' ? content : JSON.stringify(content));
    return refusalOf(join(path, 'push.json'));
  };
  t.match(refusalOf(join(path, 'missing.json')), /cannot be read: ENOENT/);
  t.match(refused('{'), /is not JSON/);
  t.match(refused([]), /the file expected an object/);
  t.match(refused({ wab: {} }), /does not know a part "wab"/);
  t.match(refused({ web: { subject: 'operator' } }), /"web.subject" is missing or has a wrong form/);
  t.match(refused({ web: { ...WHOLE.web, hosts: 'x' } }), /"web.hosts" expected a list/);
  t.match(refused({ apns: { ...WHOLE.apns, topic: undefined } }), /"apns.topic"/);
  t.match(refused({ apns: { ...WHOLE.apns, keyFile: 'rsa.p8' } }), /"apns.keyFile" expected a private key of type ec/);
  t.match(refused({ apns: { ...WHOLE.apns, keyFile: 'none.p8' } }), /cannot be read/);
  t.match(refused({ fcm: { serviceAccountFile: 'bad.json' } }), /is not JSON/);
  writeFileSync(join(path, 'ec.json'), JSON.stringify({ ...ACCOUNT, private_key: key }));
  const wrongKey = refused({ fcm: { serviceAccountFile: 'ec.json' } });
  t.match(wrongKey, /"private_key" expected a private key of type rsa/);
  t.notOk(wrongKey.includes('PRIVATE KEY-----'));
});
