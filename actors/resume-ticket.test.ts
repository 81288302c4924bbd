import t from 'tap';
import { LIMITS } from './limits.ts';
import { resumeProof, ResumeTickets, type ResumeClaim } from './resume-ticket.ts';

const SECRET = '11'.repeat(32);
const USER = '123456789012345';
const NOW = 1_763_745_000_000;
const OWNER = { user: USER, device: 1, creation: 7 };
const NONCE = new Uint8Array(32).fill(9);

function claimOf(tickets: ResumeTickets, changes: Partial<ResumeClaim> = {}, nonce = NONCE): ResumeClaim {
  const { token, secret } = tickets.seal(OWNER, NOW);
  return { user: USER, device: 1, ticket: token, proof: resumeProof(secret, nonce), ...changes };
}

t.test('a ticket resumes its device until it expires, on any worker and after a restart', async (t) => {
  const claim = claimOf(new ResumeTickets(SECRET));
  const other = new ResumeTickets(SECRET);
  const expiresAtMs = NOW + LIMITS.resumeTicketAgeMs;
  t.same(other.open(claim, NONCE, NOW), { creation: 7, expiresAtMs });
  t.same(other.open(claim, NONCE, expiresAtMs - 1), { creation: 7, expiresAtMs }, 'at the last moment');
  t.equal(other.open(claim, NONCE, expiresAtMs), undefined);
});

t.test('each way of being wrong is refused', async (t) => {
  const tickets = new ResumeTickets(SECRET);
  const claim = claimOf(tickets);
  const flip = (text: string, byte: number): string => {
    const bytes = Buffer.from(text, 'base64url');
    bytes[byte]! ^= 1;
    return bytes.toString('base64url');
  };
  const wrong: Record<string, ResumeClaim> = {
    'another user': { ...claim, user: '123456789012346' },
    'another device': { ...claim, device: 2 },
    'another proof': { ...claim, proof: new Uint8Array(32) },
    'a short proof': { ...claim, proof: claim.proof.subarray(1) },
    'the secret itself': { ...claim, proof: tickets.seal(OWNER, NOW).secret },
    'no token': { ...claim, ticket: '' },
    'a longer token': { ...claim, ticket: `${claim.ticket}AA` },
  };
  for (const byte of [0, 1, 3, 4, 7, 8, 15]) {
    wrong[`byte ${byte} of the token`] = { ...claim, ticket: flip(claim.ticket, byte) };
  }
  for (const [name, each] of Object.entries(wrong)) t.equal(tickets.open(each, NONCE, NOW), undefined, name);
  t.equal(tickets.open(claim, new Uint8Array(32), NOW), undefined, 'a proof for another connection');
  t.equal(new ResumeTickets('22'.repeat(32)).open(claim, NONCE, NOW), undefined, 'another installation');
  t.ok(tickets.open(claim, NONCE, NOW), 'and the right one is taken');
});

t.test('keys change with the day, and a ticket of yesterday is good today', async (t) => {
  const tickets = new ResumeTickets(SECRET);
  const [today, tomorrow] = [tickets.seal(OWNER, NOW), tickets.seal(OWNER, NOW + 86_400_000)];
  t.not(today.token, tomorrow.token);
  const proof = resumeProof(today.secret, NONCE);
  t.ok(tickets.open({ user: USER, device: 1, ticket: today.token, proof }, NONCE, NOW + 86_400_000));
  const ahead = resumeProof(tomorrow.secret, NONCE);
  const early = { user: USER, device: 1, ticket: tomorrow.token, proof: ahead };
  t.ok(tickets.open(early, NONCE, NOW), 'the clock of another node may be ahead');
  const far = tickets.seal(OWNER, NOW + 3 * 86_400_000);
  const distant = { ...early, ticket: far.token, proof: resumeProof(far.secret, NONCE) };
  t.equal(tickets.open(distant, NONCE, NOW), undefined, 'by a day at most');
});

t.test('a ticket cannot be made to live longer than its key', async (t) => {
  const tickets = new ResumeTickets(SECRET);
  const { token, secret } = tickets.seal(OWNER, NOW);
  const bytes = Buffer.from(token, 'base64url');
  bytes.writeBigUInt64BE(bytes.readBigUInt64BE(8) + 86_400_000_000n, 8);
  const claim = { user: USER, device: 1, ticket: bytes.toString('base64url'), proof: resumeProof(secret, NONCE) };
  t.equal(tickets.open(claim, NONCE, NOW), undefined);
});

t.test('token, secret and proof are the bytes that another implementation makes', async (t) => {
  // Computed with Python's hmac from the layout in resume-ticket.ts and docs/protocol.md.
  const { token, secret, expires } = new ResumeTickets(SECRET).seal(OWNER, NOW);
  t.equal(expires, 604_800);
  t.equal(token, 'AQBPvQAAAAcAAAGay3FuQA');
  t.equal(Buffer.from(secret).toString('hex'), '30a0a1a9a06d45ceb99067c0ba5d5cdc028a8f6970224deed401851fa81d4cb4');
  const proof = resumeProof(secret, NONCE);
  t.equal(Buffer.from(proof).toString('hex'), '2568e08eea7fd86a674ce35941ab6320e0e2ff87605ebe31a232ddb11883dd2f');
});
