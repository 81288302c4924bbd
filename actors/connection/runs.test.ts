import t, { type Test } from 'tap';
import { createSeededRandom } from '../../runtime/testing/seeded-random.ts';
import type { Random } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import { BOB } from '../test-kit.ts';
import { handOver, lastBefore, takeRefused, takeStored, type Runs } from './runs.ts';

/** Of Bob, every copy that is unanswered, in the order in which they were handed over. */
function copies(runs: Runs): readonly number[] {
  return (runs.get(BOB) ?? []).flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index),
  );
}

function handedOver(...ids: readonly number[]): Runs {
  const runs: Runs = new Map();
  for (const id of ids) handOver(runs, BOB, id);
  return runs;
}

function isEmpty(t: Test, runs: Runs): void {
  t.equal(runs.size, 0, 'nothing is left behind');
}

t.test('an acknowledgement covers all before it, every copy', async (t) => {
  const runs = handedOver(2, 3, 4, 5);
  takeStored(runs, BOB, 3);
  t.strictSame(copies(runs), [4, 5]);
  handOver(runs, BOB, 4);
  takeStored(runs, BOB, 4);
  t.strictSame(copies(runs), [5]);
  takeStored(runs, BOB, 5);
  isEmpty(t, runs);
});

t.test('a refusal is of one copy: neither of what came before it nor of what followed', async (t) => {
  const runs = handedOver(2, 3, 4, 5);
  takeRefused(runs, BOB, 4);
  t.strictSame(copies(runs), [2, 3, 5]);
  for (const id of [5, 3, 9]) takeRefused(runs, BOB, id);
  t.strictSame(copies(runs), [2]);
  takeRefused(runs, BOB, 2);
  isEmpty(t, runs);
  takeRefused(runs, BOB, 2);
  isEmpty(t, runs);
});

t.test('late refusals of what was said before leave what was said again', async (t) => {
  const runs = handedOver(2, 3, 4);
  takeRefused(runs, BOB, 2);
  for (const id of [2, 3, 4]) handOver(runs, BOB, id);
  for (const id of [3, 4]) takeRefused(runs, BOB, id);
  t.strictSame(copies(runs), [2, 3, 4]);
});

t.test('the last one before an id is of any run', async (t) => {
  const runs = handedOver(5, 6, 7, 3);
  const found = [3, 4, 5, 6, 7, 8, 100].map((id) => lastBefore(runs, BOB, id));
  t.strictSame(found, [0, 3, 3, 5, 6, 7, 7]);
  t.equal(lastBefore(runs, 'nobody', 5), 0);
  t.equal(lastBefore(undefined, BOB, 5), 0);
});

t.test(
  'of who goes back all the time and waits for no answer, no refusal says that nothing is unanswered',
  async (t) => {
    const max = LIMITS.unansweredRunsMax;
    const runs: Runs = new Map();
    for (let count = 0; count < max + 1; count++) handOver(runs, BOB, 7);
    handOver(runs, BOB, 5);
    t.equal(runs.get(BOB)!.length, max);
    for (let count = 0; count < max + 2; count++) takeRefused(runs, BOB, 7);
    t.strictSame(copies(runs), [5, 6, 7], 'more than is counted');
    t.equal(lastBefore(runs, BOB, 8), 7);
    takeStored(runs, BOB, 7);
    isEmpty(t, runs);
  },
);

interface Copy {
  readonly number: number;
  readonly id: number;
}

type Answer = { readonly kind: 'stored'; readonly id: number } | { readonly kind: 'refused'; readonly copy: Copy };

/** A shard as far as its order goes: it refuses at once, what it has no room for too, and acknowledges or takes back with a commit. */
class ModelShard {
  readonly answers: Answer[] = [];
  #stored = 0;
  #accepted = 0;
  #awaited = Infinity;
  #commit: Copy[] = [];

  take(copy: Copy, hasRoom: boolean): void {
    const { id } = copy;
    const isOpen = this.#accepted === 0;
    const isNext = isOpen ? id <= this.#awaited : id <= this.#accepted + 1;
    if (isOpen) this.#awaited = Math.min(this.#awaited, id);
    if (!hasRoom || !isNext) return void this.answers.push({ kind: 'refused', copy });
    this.#accepted = Math.max(this.#accepted, id);
    this.#commit.push(copy);
  }

  settle(isFlushed: boolean): void {
    const commit = this.#commit.splice(0);
    if (commit.length === 0) return;
    if (isFlushed) {
      this.#stored = this.#accepted;
      this.answers.push({ kind: 'stored', id: this.#stored });
      return;
    }
    this.#accepted = this.#stored;
    for (const copy of commit) this.answers.push({ kind: 'refused', copy });
  }
}

/** A client that says something, or goes back; a connection that counts; a shard; and ways between them, on which everything keeps its order. */
class Model {
  readonly #random: Random;
  readonly #runs: Runs = new Map();
  readonly #shard = new ModelShard();
  #toShard: Copy[] = [];
  /** What the connection has heard and the client has not read. */
  #toClient: Answer[] = [];
  /** What the connection has handed over and not heard of, as who sees everything knows it. */
  #unheard: Copy[] = [];
  #count = 0;
  #heardId = 0;
  #ackedId = 0;
  #nextId = 1;

  constructor(seed: number) {
    this.#random = createSeededRandom(seed);
  }

  /** @returns What is wrong. */
  step(): string | undefined {
    const dice = this.#random.integer(10);
    if (dice < 3) this.#say();
    else if (dice < 5) this.#arrive();
    else if (dice < 6) this.#shard.settle(this.#random.integer(4) > 0);
    else if (dice < 8) this.#hear();
    else this.#read();
    // Of what is stored nobody asks.
    const isOf = (id: number): boolean => id > this.#heardId;
    const unheard = this.#unheard.map(({ id }) => id).filter(isOf);
    const known = copies(this.#runs).filter(isOf);
    const [truth, counted] = [unheard, known].map((ids) => ids.toSorted((left, right) => left - right).join(' '));
    return truth === counted ? undefined : `unanswered ${truth}, counted ${counted}`;
  }

  #say(): void {
    if (this.#random.integer(20) === 0) this.#nextId = this.#ackedId + 1;
    const copy = { number: ++this.#count, id: this.#nextId++ };
    handOver(this.#runs, BOB, copy.id);
    this.#unheard.push(copy);
    this.#toShard.push(copy);
  }

  #arrive(): void {
    const copy = this.#toShard.shift();
    if (copy !== undefined) this.#shard.take(copy, this.#random.integer(5) > 0);
  }

  #hear(): void {
    const answer = this.#shard.answers.shift();
    if (answer === undefined) return;
    this.#toClient.push(answer);
    if (answer.kind === 'stored') {
      takeStored(this.#runs, BOB, answer.id);
      this.#heardId = answer.id;
      this.#unheard = this.#unheard.filter(({ id }) => id > answer.id);
    } else {
      takeRefused(this.#runs, BOB, answer.copy.id);
      this.#unheard = this.#unheard.filter(({ number }) => number !== answer.copy.number);
    }
  }

  #read(): void {
    const answer = this.#toClient.shift();
    if (answer?.kind === 'stored') {
      this.#ackedId = answer.id;
      this.#nextId = Math.max(this.#nextId, answer.id + 1);
    } else if (answer?.kind === 'refused') this.#nextId = this.#ackedId + 1;
  }
}

t.test('500 seeds: what is counted is what has no answer, copy by copy', async (t) => {
  for (let seed = 1; seed <= 500; seed++) {
    const model = new Model(seed);
    for (let step = 0; step < 200; step++) {
      const fault = model.step();
      if (fault !== undefined) return void t.fail(`seed ${seed}, step ${step}: ${fault}`);
    }
  }
  t.pass('all of them');
});
