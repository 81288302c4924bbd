import { createPublicKey, verify } from 'node:crypto';
import t from 'tap';
import { isBenchError } from '../errors.ts';
import { parseClientMessage, type ClientMessage, type ServerMessage, type Stanza } from '../../protocol/wire/index.ts';
import { loginBytes, makeAccountKeys } from './account-keys.ts';
import { Opening } from './opening.ts';

const PHONE = '+4915100000001';
const USER = '123456789012345';
const nonce = new Uint8Array(32).fill(7);

const stream: ServerMessage = { kind: 'stream', version: 1, ts: 1, nonce };
const asked: ServerMessage = { kind: 'iq-result', id: 1, answer: { kind: 'register', expires: 300 } };
const account: ServerMessage = { kind: 'iq-result', id: 2, answer: { kind: 'account', user: USER, device: 1 } };
const success: ServerMessage = { kind: 'success', user: USER, device: 1, ts: 1, preKeys: 0 };
const offline: ServerMessage = { kind: 'offline' };

/** What the stanza says, by the parser that a server runs. */
function said(stanza: Stanza | undefined): ClientMessage {
  return parseClientMessage(stanza!) as ClientMessage;
}

t.test('an account is registered, confirmed and logged in with its own key', async (t) => {
  const keys = makeAccountKeys();
  const opening = new Opening(PHONE, keys);
  t.match(said(opening.hear(stream)), { kind: 'iq-set', request: { kind: 'register', phone: PHONE } });
  t.equal(opening.hear(asked), undefined);
  t.match(said(opening.takeCode('004711')), {
    kind: 'iq-set',
    request: { kind: 'confirm', phone: PHONE, code: '004711' },
  });
  const auth = said(opening.hear(account));
  t.match(auth, { kind: 'auth', user: USER, device: 1 });
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), keys.login]);
  const loginKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  t.ok(
    auth.kind === 'auth' && verify(null, loginBytes(nonce, USER, 1), loginKey, auth.signature),
    'the signature holds',
  );
  opening.hear(success);
  t.equal(opening.account, undefined, 'not before the inbox is drained');
  opening.hear(offline);
  t.same(opening.account, { phone: PHONE, user: USER, device: 1 });
});

t.test('the code may come before the answer to the request for it', async (t) => {
  const opening = new Opening(PHONE, makeAccountKeys());
  opening.hear(stream);
  t.match(said(opening.takeCode('123456')), { kind: 'iq-set' });
  t.equal(opening.hear(asked), undefined);
  t.match(said(opening.hear(account)), { kind: 'auth' });
});

t.test('the nonce is kept beyond the message that brought it', async (t) => {
  const lent = nonce.slice();
  const keys = makeAccountKeys();
  let signed: Uint8Array | undefined;
  const opening = new Opening(PHONE, { ...keys, signLogin: (bytes) => ((signed = bytes.slice()), new Uint8Array(64)) });
  opening.hear({ kind: 'stream', version: 1, ts: 1, nonce: lent });
  lent.fill(0);
  opening.takeCode('123456');
  opening.hear(account);
  t.same(signed, nonce);
});

t.test('a refusal ends the registration with its code', async (t) => {
  const refusals: ServerMessage[] = [
    { kind: 'iq-error', id: 1, code: 'APP_RATE_LIMITED', text: 'wait' },
    { kind: 'failure', code: 'APP_BAD_SIGNATURE', text: 'no' },
  ];
  for (const refusal of refusals) {
    const opening = new Opening(PHONE, makeAccountKeys());
    opening.hear(stream);
    t.throws(() => opening.hear(refusal), { code: 'BENCH_REGISTRATION' });
  }
});

t.test('whatever comes out of order is unexpected', async (t) => {
  const histories: [string, ServerMessage[]][] = [
    ['success first', [success]],
    ['an account without a confirmation', [stream, asked, account]],
    ['two greetings', [stream, stream]],
    ['the end of the queue before the login', [stream, offline]],
    ['a message', [stream, { kind: 'pong', id: 1 }]],
  ];
  for (const [name, history] of histories) {
    const opening = new Opening(PHONE, makeAccountKeys());
    try {
      for (const message of history) opening.hear(message);
      t.fail(name);
    } catch (error) {
      t.ok(isBenchError(error, 'BENCH_UNEXPECTED'), name);
    }
  }
  t.throws(() => new Opening(PHONE, makeAccountKeys()).takeCode('1'), { code: 'BENCH_UNEXPECTED' });
});
