import { generateKeyPairSync, sign } from 'node:crypto';
import t from 'tap';
import { loginBytes, refuseLogin } from './auth.ts';
import { LIMITS } from './limits.ts';
import type { DeviceRecord } from './store/inbox-store.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const loginKey = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
const RECORD: DeviceRecord = {
  creation: 1,
  registration: 1,
  loginKey,
  identityKey: new Uint8Array(33),
  signedPreKey: { id: 1, key: new Uint8Array(33), signature: new Uint8Array(64) },
};
const USER = '123456789012345';
const CHALLENGE = { nonce: new Uint8Array(32).fill(7), issuedAtMs: 1_000 };

function signed(nonce: Uint8Array, user: string, device: number): Uint8Array {
  return new Uint8Array(sign(null, loginBytes(nonce, user, device), privateKey));
}

const CLAIM = { user: USER, device: 1, signature: signed(CHALLENGE.nonce, USER, 1) };

t.test('a signature over the nonce of this connection logs in', async (t) => {
  t.equal(refuseLogin(CLAIM, RECORD, CHALLENGE, 1_000), undefined);
  t.equal(refuseLogin(CLAIM, RECORD, CHALLENGE, 1_000 + LIMITS.nonceAgeMsMax), undefined, 'at the last moment');
});

t.test('each way of being wrong has its code', async (t) => {
  const otherNonce = { ...CLAIM, signature: signed(new Uint8Array(32), USER, 1) };
  const otherDevice = { ...CLAIM, signature: signed(CHALLENGE.nonce, USER, 2) };
  const otherUser = { ...CLAIM, signature: signed(CHALLENGE.nonce, '123456789012346', 1) };
  const empty = { ...CLAIM, signature: new Uint8Array(64) };
  for (const claim of [otherNonce, otherDevice, otherUser, empty]) {
    t.equal(refuseLogin(claim, RECORD, CHALLENGE, 1_000), 'APP_BAD_SIGNATURE');
  }
  t.equal(refuseLogin(CLAIM, undefined, CHALLENGE, 1_000), 'APP_UNKNOWN_DEVICE');
  t.equal(refuseLogin(CLAIM, RECORD, CHALLENGE, 1_001 + LIMITS.nonceAgeMsMax), 'APP_NONCE_EXPIRED');
  const badKey = { ...RECORD, loginKey: new Uint8Array(32).fill(0xff) };
  t.equal(refuseLogin(CLAIM, badKey, CHALLENGE, 1_000), 'APP_BAD_SIGNATURE', 'a key that is no point');
});

t.test('the signed bytes are those of docs/protocol.md', async (t) => {
  const expected = `${Buffer.from('blindbeam login 1\0').toString('hex')}${'07'.repeat(32)}${Buffer.from(`${USER}\0`).toString('hex')}01`;
  t.equal(Buffer.from(loginBytes(CHALLENGE.nonce, USER, 1)).toString('hex'), expected);
});
