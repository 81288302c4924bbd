import fc from 'fast-check';
import t from 'tap';
import { decide, type Proposal, type Situation } from './decision.ts';
import { LIMITS } from './limits.ts';
import { Liveness } from './liveness.ts';
import type { HostStatus } from './shard-host.ts';
import { formatSeat, sameSeat, seatKey, type CopyState, type SeatLife, type ShardRecord } from './shard-record.ts';

const NOW = 60_000;
const A: SeatLife = { node: 'a', worker: 1, life: 1 };
const [B, C] = [
  { node: 'b', worker: 1 },
  { node: 'c', worker: 1 },
];
const SHARD = 0;

interface Others {
  /** Silence of each node, milliseconds; missing: never heard of. */
  readonly silence?: Readonly<Record<string, number>>;
  readonly lives?: Readonly<Record<string, number>>;
  readonly copies?: Readonly<Record<string, CopyState>>;
  /** Nodes that say that they have nothing of the shard. */
  readonly empty?: readonly string[];
  /** Nodes that say that they go on while the log does not answer. */
  readonly local?: readonly string[];
}

/** What `self` has heard by NOW: itself all the time, the others until their silence. */
function heard(
  self: SeatLife,
  { silence = { b: 0, c: 0 }, lives = {}, copies = {}, empty = [], local = [] }: Others,
): Liveness {
  const liveness = new Liveness(self);
  for (let nowMs = 0; nowMs <= NOW; nowMs += LIMITS.renewalMs) {
    for (const [node, silentMs] of Object.entries({ ...silence, [self.node]: 0 })) {
      if (nowMs > NOW - silentMs) continue;
      const copy = copies[node];
      const record = { node, worker: 1, workers: 1, life: lives[node] ?? 1, leaving: false, revision: 0 };
      const said = { isLocal: local.includes(node), empty: empty.includes(node) ? [SHARD] : [] };
      const text = formatSeat({ ...record, ...said, copies: copy === undefined ? [] : [copy] });
      liveness.note(seatKey({ node, worker: 1 }), text, nowMs);
    }
  }
  return liveness;
}

function status(change: Partial<HostStatus> = {}): HostStatus {
  const nothing = {
    servingEpoch: undefined,
    isEmpty: false,
    isLooked: true,
    tailCount: 0,
    tailBytes: 0,
    isLost: false,
  };
  return { phase: 'following', sequence: 100, isWhole: true, ...nothing, ...change };
}

const SERVING = status({ phase: 'serving', servingEpoch: 3 });
const WHOLE: CopyState = { shard: SHARD, sequence: 100, isWhole: true };

function owned(change: Partial<ShardRecord> = {}): ShardRecord {
  return { epoch: 3, owner: A, standby: B, next: undefined, isDoubted: false, ...change };
}

function propose(change: Partial<Situation>, others: Others = {}): Proposal | undefined {
  const self = change.self ?? A;
  return decide({
    shard: SHARD,
    nowMs: NOW,
    self,
    record: owned(),
    assignment: { owner: 'a', standby: 'b' },
    liveness: heard(self, others),
    status: SERVING,
    phaseSinceMs: NOW - 5_000,
    settledSequence: 100,
    stableMs: 60_000,
    isComplete: true,
    isLocal: false,
    isLeaving: false,
    ...change,
  });
}

const AS_B: Partial<Situation> = { self: { ...B, life: 1 }, status: status() };
const AS_C: Partial<Situation> = { self: { ...C, life: 1 }, status: status() };
const DEAD = LIMITS.deadMs + 1_000;

/** What each seat does in each situation: its motive, and who owns the shard then. */
const CASES: readonly (readonly [claim: string, situation: Partial<Situation>, others: Others, expected: string])[] = [
  ['nothing changes while everybody is where he should be', {}, { copies: { b: WHOLE } }, 'nothing'],
  ['a shard that nobody had is founded by who should have it', { record: undefined }, {}, 'found a'],
  ['and by nobody else', { ...AS_B, record: undefined }, {}, 'nothing'],
  ['a standby leaves a living owner alone', AS_B, { silence: { a: 0, c: 0 } }, 'nothing'],
  ['a standby takes over from a dead owner', AS_B, { silence: { a: DEAD, c: 0 } }, 'take-over b'],
  ['and from a former life of the owner', AS_B, { silence: { a: 0, c: 0 }, lives: { a: 2 } }, 'take-over b'],
  ['not where owners go on through silence', { ...AS_B, isLocal: true }, { silence: { a: DEAD, c: 0 } }, 'nothing'],
  ['nor from one that does, whatever is set here', AS_B, { silence: { a: DEAD, c: 0 }, local: ['a'] }, 'nothing'],
  [
    'nor from its later life, which may have what the log lacks',
    { ...AS_B, isLocal: true },
    { silence: { a: 0, c: 0 }, lives: { a: 2 } },
    'nothing',
  ],
  [
    'but from a later life with an empty disk',
    { ...AS_B, isLocal: true },
    { silence: { a: 0, c: 0 }, lives: { a: 2 }, empty: ['a'] },
    'take-over b',
  ],
  [
    'also where that life has another number of workers, and the seat of the owner never speaks again',
    { ...AS_B, isLocal: true, record: owned({ owner: { ...A, worker: 3 } }) },
    { silence: { a: 0, c: 0 }, lives: { a: 2 }, empty: ['a'] },
    'take-over b',
  ],
  [
    'not while that has not looked at its disk',
    { ...AS_B, isLocal: true, record: owned({ owner: { ...A, worker: 3 } }) },
    { silence: { a: 0, c: 0 }, lives: { a: 2 } },
    'nothing',
  ],
  [
    'who serves what is in doubt has told those concerned',
    { record: owned({ isDoubted: true }) },
    { copies: { b: WHOLE } },
    'settle-doubt a',
  ],
  [
    'not before it serves',
    { record: owned({ isDoubted: true }), status: status({ phase: 'taking-over' }) },
    { copies: { b: WHOLE } },
    'nothing',
  ],
  [
    'an owner with a tail moves nothing',
    { isLeaving: true, isLocal: true, status: { ...SERVING, tailCount: 1 } },
    { copies: { b: WHOLE } },
    'nothing',
  ],
  ['but not with half a copy', { ...AS_B, status: status({ isWhole: false }) }, { silence: { a: DEAD } }, 'nothing'],
  ['who is neither standby nor next takes nothing', AS_C, { silence: { a: DEAD, b: 0 } }, 'nothing'],
  [
    'the next leaves it to a living standby',
    { ...AS_C, record: owned({ next: C }) },
    { silence: { a: DEAD, b: 0 } },
    'nothing',
  ],
  [
    'and takes over when that is dead too',
    { ...AS_C, record: owned({ next: C }) },
    { silence: { a: DEAD, b: DEAD } },
    'take-over c',
  ],
  ['an owner that was restarted reclaims its shard', { self: { ...A, life: 2 }, status: status() }, {}, 'reclaim a'],
  [
    'without a disk it leaves it to its living standby',
    { self: { ...A, life: 2 }, status: status({ isWhole: false }) },
    {},
    'nothing',
  ],
  [
    'what cannot be brought to the end of the log goes to the copy',
    { status: status({ isLost: true }) },
    { copies: { b: WHOLE }, silence: { b: 0 } },
    'yield b',
  ],
  ['an owner without a standby appoints one', { record: owned({ standby: undefined }) }, {}, 'appoint a'],
  [
    'a standby that is away for a moment is waited for',
    {},
    { silence: { b: 5_000, c: 0 }, copies: { b: WHOLE } },
    'nothing',
  ],
  [
    'for one that is away for long another is begun',
    { assignment: { owner: 'a', standby: 'c' } },
    { silence: { b: LIMITS.copyAwayMs + 1_000, c: 0 } },
    'appoint a',
  ],
  [
    'and in the end it is replaced',
    { assignment: { owner: 'a', standby: 'c' } },
    { silence: { b: LIMITS.standbyAwayMs + 1_000, c: 0 } },
    'replace-standby a',
  ],
  [
    'a shard goes to who should have it once that has all of it',
    { assignment: { owner: 'b', standby: 'a' } },
    { copies: { b: WHOLE }, silence: { b: 0 } },
    'hand-over b',
  ],
  [
    'not while it lags',
    { assignment: { owner: 'b', standby: 'a' } },
    { copies: { b: { ...WHOLE, sequence: 99 } }, silence: { b: 0 } },
    'nothing',
  ],
  [
    'not while nodes come and go',
    { assignment: { owner: 'b', standby: 'a' }, stableMs: 1_000 },
    { copies: { b: WHOLE }, silence: { b: 0 } },
    'nothing',
  ],
  [
    'a node that leaves hands over to its standby at once',
    { isLeaving: true, stableMs: 0 },
    { copies: { b: WHOLE }, silence: { b: 0 } },
    'hand-over b',
  ],
  ['an owner that was fenced though nobody took over begins again', { status: status() }, {}, 'reclaim a'],
];

for (const [claim, situation, others, expected] of CASES) {
  t.test(claim, async (t) => {
    const proposal = propose(situation, others);
    t.equal(proposal === undefined ? 'nothing' : `${proposal.why} ${proposal.record.owner.node}`, expected);
  });
}

/** A proposal, and whether what was acknowledged may be lost by it. */
const DOUBTS: readonly (readonly [string, Partial<Situation>, Others, string])[] = [
  [
    'a take-over of what was on one disk alone',
    { ...AS_B, isLocal: true },
    { lives: { a: 2 }, empty: ['a'] },
    'take-over true',
  ],
  ['not one of what the log has', AS_B, { silence: { a: DEAD, c: 0 } }, 'take-over false'],
  [
    'a tail that cannot be joined to the log',
    { status: status({ isLost: true, tailCount: 1 }) },
    { copies: { b: WHOLE }, silence: { b: 0 } },
    'yield true',
  ],
  [
    'a doubt stays until an owner serves',
    { ...AS_B, record: owned({ isDoubted: true }) },
    { silence: { a: DEAD } },
    'take-over true',
  ],
  [
    'also through a reclaim',
    { self: { ...A, life: 2 }, status: status(), record: owned({ isDoubted: true }) },
    {},
    'reclaim true',
  ],
  ['and is settled then', { record: owned({ isDoubted: true }) }, {}, 'settle-doubt false'],
];

for (const [claim, situation, others, expected] of DOUBTS) {
  t.test(`in doubt: ${claim}`, async (t) => {
    const silence = others.silence ?? { a: 0, c: 0 };
    const { why, record } = propose(situation, { ...others, silence })!;
    t.equal(`${why} ${record.isDoubted}`, expected);
  });
}

t.test(
  'whatever is proposed: the epoch grows exactly when the owner or its life changes, and an owner is not its own copy',
  async () => {
    const seats = fc.constantFrom(undefined, { node: 'a', worker: 1 }, B, C);
    const silence = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom(0, 3_000, 15_000, 40_000));
    const whole = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constant(WHOLE));
    const phase = fc.constantFrom(
      SERVING,
      status(),
      status({ isWhole: false, phase: 'copying' }),
      status({ isLost: true }),
    );
    fc.assert(
      fc.property(
        seats,
        seats,
        seats,
        silence,
        whole,
        phase,
        fc.boolean(),
        (owner, standby, next, silent, copies, state, isLeaving) => {
          fc.pre(owner === undefined || !(sameSeat(owner, standby) || sameSeat(owner, next)));
          const record = owner && { epoch: 3, owner: { ...owner, life: 1 }, standby, next, isDoubted: false };
          const proposal = propose({ record, status: state, isLeaving }, { silence: silent, copies });
          if (proposal === undefined) return true;
          const after = proposal.record;
          const isSame =
            record !== undefined && sameSeat(record.owner, after.owner) && record.owner.life === after.owner.life;
          const isRenewed = proposal.why === 'reclaim' || !isSame;
          return (
            after.epoch === (record?.epoch ?? 0) + (isRenewed ? 1 : 0) &&
            !sameSeat(after.owner, after.next) &&
            !sameSeat(after.owner, after.standby)
          );
        },
      ),
      { numRuns: 1_000 },
    );
  },
);
