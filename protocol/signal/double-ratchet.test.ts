/** The ratchet alone: turns, late messages, and each bound at its maximum and one beyond. */
import t from 'tap';
import {
  completeReceive,
  createInitiatorState,
  createResponderState,
  knowsChain,
  prepareReceive,
  prepareSend,
  withoutSending,
  RatchetState,
} from './double-ratchet.ts';
import type { RatchetHeader } from './ciphertext.ts';
import { isSignalError, type SignalError } from './errors.ts';
import { generateKeyPair } from './keys.ts';
import { LIMITS } from './limits.ts';
import { seededRandom } from './testing/device.ts';
import { codeOf, must } from './testing/outcome.ts';
import { toHex } from './testing/transcripts.ts';

const random = seededRandom('double ratchet');
const { forwardJumpCountMax, skippedKeyCountMax, receiverChainCountMax } = LIMITS;

function createPair(): { initiator: RatchetState; responder: RatchetState } {
  const rootKey = random(32);
  const signedPreKey = generateKeyPair(random);
  return {
    initiator: must(createInitiatorState(rootKey, signedPreKey.publicKey, random)),
    responder: createResponderState(rootKey, signedPreKey),
  };
}

type Sent = { header: RatchetHeader; seed: string };

/** Takes `count` positions. */
function send(state: RatchetState, count: number): { state: RatchetState; sent: Sent[] } {
  const sent: Sent[] = [];
  for (let index = 0; index < count; index++) {
    const step = must(prepareSend(state));
    sent.push({ header: step.header, seed: toHex(step.seed) });
    state = step.state;
  }
  return { state, sent };
}

/** Receives a header; the seed must be the sender's. */
function receive(
  state: RatchetState,
  { header, seed }: Sent,
  jumpCountMax: number = forwardJumpCountMax,
): RatchetState | SignalError {
  const reception = prepareReceive(state, header, jumpCountMax);
  if (isSignalError(reception)) return reception;
  if (toHex(reception.seed) !== seed) throw new Error('the two ends derived different seeds');
  return completeReceive(state, reception, random);
}

t.test('both ends derive the same seeds, in turns', async (t) => {
  let { initiator, responder } = createPair();
  const seeds = new Set<string>();
  for (let turn = 0; turn < 10; turn++) {
    const there = send(initiator, 3);
    initiator = there.state;
    for (const sent of there.sent) responder = must(receive(responder, sent));
    const back = send(responder, 2);
    responder = back.state;
    for (const sent of back.sent) initiator = must(receive(initiator, sent));
    for (const { seed } of [...there.sent, ...back.sent]) seeds.add(seed);
    t.equal(there.sent[0]!.header.previousCounter, turn === 0 ? 0 : 2, 'the last counter of the chain before');
  }
  t.equal(seeds.size, 50, 'no seed occurs twice');
});

t.test('a responder cannot send before it has received', async (t) => {
  const { initiator, responder } = createPair();
  t.equal(codeOf(prepareSend(responder)), 'SIG_NO_SESSION');
  const received = must(receive(responder, send(initiator, 1).sent[0]!));
  t.ok(must(prepareSend(received)));
});

t.test('receiving draws randomness once a turn, and preparing never', async (t) => {
  const { initiator, responder } = createPair();
  const { sent } = send(initiator, 2);
  let draws = 0;
  const counted = (length: number): Uint8Array => (draws++, random(length));
  const first = must(prepareReceive(responder, sent[0]!.header, forwardJumpCountMax));
  t.equal(draws, 0);
  const turned = must(completeReceive(responder, first, counted));
  t.equal(draws, 1);
  must(completeReceive(turned, must(prepareReceive(turned, sent[1]!.header, forwardJumpCountMax)), counted));
  t.equal(draws, 1);
});

t.test('steps leave the state that they were given as it was', async (t) => {
  const { initiator, responder } = createPair();
  const { sent } = send(initiator, 5);
  const before = must(receive(responder, sent[3]!));
  const skipped = before.receiving[0]!.skipped;
  const after = must(receive(before, sent[1]!));
  t.equal(before.receiving[0]!.skipped, skipped);
  t.equal(skipped.length, 3);
  t.equal(after.receiving[0]!.skipped.length, 2);
  t.equal(codeOf(receive(after, sent[1]!)), 'SIG_DUPLICATE');
  t.ok(must(receive(before, sent[1]!)), 'the earlier state still can');
});

t.test('forward jump: the bound is readable, one more is too far', async (t) => {
  const { initiator, responder } = createPair();
  const { sent } = send(initiator, forwardJumpCountMax + 2);
  t.ok(must(receive(responder, sent[forwardJumpCountMax]!)), 'from the start of a new chain');
  t.equal(codeOf(receive(responder, sent[forwardJumpCountMax + 1]!)), 'SIG_TOO_FAR');
  const begun = must(receive(responder, sent[0]!));
  t.ok(must(receive(begun, sent[forwardJumpCountMax + 1]!)), 'from position 1 of a known chain');
  t.equal(codeOf(receive(begun, sent[3]!, 1)), 'SIG_TOO_FAR', 'with a smaller bound');
  t.ok(must(receive(begun, sent[2]!, 1)));
});

t.test('skipped keys: the newest are kept, up to the bound', async (t) => {
  const { initiator, responder } = createPair();
  const { sent } = send(initiator, skippedKeyCountMax + 3);
  const full = must(receive(responder, sent[skippedKeyCountMax]!));
  t.equal(full.receiving[0]!.skipped.length, skippedKeyCountMax);
  t.ok(must(receive(full, sent[0]!)), 'at the bound the oldest is readable');
  const over = must(receive(responder, sent[skippedKeyCountMax + 1]!));
  t.equal(over.receiving[0]!.skipped.length, skippedKeyCountMax);
  t.equal(codeOf(receive(over, sent[0]!)), 'SIG_DUPLICATE', 'one beyond, it is forgotten');
  t.ok(must(receive(over, sent[1]!)));
  const later = must(receive(full, sent[skippedKeyCountMax + 2]!));
  t.equal(later.receiving[0]!.skipped.length, skippedKeyCountMax, 'also when the list was full before');
  t.equal(codeOf(receive(later, sent[0]!)), 'SIG_DUPLICATE');
  t.ok(must(receive(later, sent[skippedKeyCountMax + 1]!)));
});

t.test('receiving chains: late messages survive to the bound of turns and not beyond', async (t) => {
  let { initiator, responder } = createPair();
  const first = send(initiator, 2);
  initiator = first.state;
  responder = must(receive(responder, first.sent[0]!));
  for (let chains = 2; chains <= receiverChainCountMax + 1; chains++) {
    const back = send(responder, 1);
    responder = back.state;
    initiator = must(receive(initiator, back.sent[0]!));
    const there = send(initiator, 1);
    initiator = there.state;
    responder = must(receive(responder, there.sent[0]!));
    const known = chains <= receiverChainCountMax;
    t.equal(knowsChain(responder, first.sent[1]!.header.ratchetKey), known, `after ${chains} chains`);
    if (known) t.ok(must(receive(responder, first.sent[1]!)));
  }
  t.equal(responder.receiving.length, receiverChainCountMax);
});

t.test('a chain ends before its counter wraps', async (t) => {
  const { initiator } = createPair();
  const { chainKey } = initiator.sending!;
  const near = (counter: number): RatchetState => new RatchetState({ ...initiator, sending: { chainKey, counter } });
  t.equal(must(prepareSend(near(LIMITS.uint32Max - 1))).header.counter, LIMITS.uint32Max - 1);
  t.equal(codeOf(prepareSend(near(LIMITS.uint32Max))), 'SIG_CHAIN_EXHAUSTED');
  const { ratchetKey } = must(prepareSend(initiator)).header;
  const chain = { ratchetKey, chainKey, counter: LIMITS.uint32Max - 1, skipped: [] };
  const receiver = new RatchetState({ ...initiator, receiving: [chain] });
  const at = (counter: number) => prepareReceive(receiver, { ratchetKey, counter, previousCounter: 0 }, 10);
  t.equal(must(at(LIMITS.uint32Max - 1)).chain.counter, LIMITS.uint32Max, 'the last message that a sender makes');
  t.equal(codeOf(at(LIMITS.uint32Max)), 'SIG_TOO_FAR');
});

t.test('an agreement that fails is a bad key, wherever it is made', async (t) => {
  const zero = new Uint8Array(33).with(0, 5);
  const { initiator } = createPair();
  t.equal(codeOf(createInitiatorState(random(32), zero, random)), 'SIG_BAD_KEY');
  t.equal(codeOf(prepareReceive(initiator, { ratchetKey: zero, counter: 0, previousCounter: 0 }, 10)), 'SIG_BAD_KEY');
  const reception = must(
    prepareReceive(initiator, { ratchetKey: generateKeyPair(random).publicKey, counter: 0, previousCounter: 0 }, 10),
  );
  const chain = { ...reception.chain, ratchetKey: zero };
  t.equal(codeOf(completeReceive(initiator, { ...reception, chain }, random)), 'SIG_BAD_KEY');
});

t.test('without its sending chain a state reads, and sends again after a turn', async (t) => {
  let { initiator, responder } = createPair();
  const there = send(initiator, 2);
  responder = must(receive(responder, there.sent[0]!));
  const closed = withoutSending(responder);
  t.equal(codeOf(prepareSend(closed)), 'SIG_NO_SESSION');
  const late = must(receive(closed, there.sent[1]!));
  t.equal(codeOf(prepareSend(late)), 'SIG_NO_SESSION', 'a message of a known chain does not change that');
  initiator = must(receive(there.state, send(responder, 1).sent[0]!));
  const turned = must(receive(late, send(initiator, 1).sent[0]!));
  const header = must(prepareSend(turned)).header;
  t.notSame(header.ratchetKey, responder.ratchetKeyPair.publicKey, 'with a fresh key');
  t.equal(header.counter, 0);
});
