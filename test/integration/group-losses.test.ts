/**
 * Groups on a node that comes back without what it had acknowledged last: all of it from a backup, or one shard alone, as in a cluster
 * when an owner is gone with its tail. What is acknowledged afterwards is at every member once, and those who may have lost something hear of it.
 * `GROUP_LOSSES=long` has all forms run. With the SDK: `backup.test.ts`.
 */

import { execFile } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { restoreStore } from '../../actors/backup.ts';
import { claimPort } from '../../actors/host/port.ts';
import { partitionOf, shardOfPartition } from '../../actors/partition.ts';
import { openLmdbStore } from '../../actors/store/lmdb.ts';
import { FEATURES } from '../../protocol/wire/index.ts';
import { systemClock } from '../../runtime/index.ts';
import { GroupPlan, Member } from './group-member.ts';
import { PATIENCE_MS, until } from './people.ts';
import { RawClient, register, type Registered } from './raw-client.ts';
import { ROOT, ServerProcess, temporaryDirectory } from './server-process.ts';

const IS_LONG = process.env.GROUP_LOSSES === 'long';
const SHARDS = 2;
const BLINDBEAM = join(ROOT, 'bin', 'blindbeam.js');

t.setTimeout(480_000);

function shardOf(id: string): number {
  return shardOfPartition(partitionOf(id), SHARDS);
}

/** A node that comes back on its port, from whatever store. */
class Node {
  readonly #t: Test;
  readonly #port: number;
  #process!: ServerProcess;
  store = '';

  private constructor(t: Test, port: number) {
    this.#t = t;
    this.#port = port;
  }

  static async start(t: Test, store: string): Promise<Node> {
    const node = new Node(t, await claimPort('127.0.0.1', 0));
    await node.start(store);
    return node;
  }

  get process(): ServerProcess {
    return this.#process;
  }

  async start(store: string): Promise<void> {
    this.store = store;
    const flags = ['--workers', String(SHARDS), '--metrics-port', '0', '--port', String(this.#port)];
    this.#process = await ServerProcess.start(this.#t, store, flags);
  }

  /** Copies the store of the running node. */
  async backUp(copy: string): Promise<void> {
    await promisify(execFile)(process.execPath, [BLINDBEAM, 'backup', copy, '--data', this.store]);
  }

  /** What becomes of a shard in a cluster whose owner is gone with its tail: its state of then, put in doubt. */
  async loseNewestOf(shard: number, copy: string): Promise<void> {
    await this.#process.kill();
    const [lost, former] = [this.store, copy].map((store) => join(store, `shard-0${shard}`)) as [string, string];
    rmSync(lost, { recursive: true });
    cpSync(former, lost, { recursive: true });
    const store = openLmdbStore({ directory: lost, onFatal: (error) => this.#t.fail('the disk failed', { error }) });
    store.renew(systemClock.nowMs());
    await store.close();
    await this.start(this.store);
  }
}

/** A group with a member on each shard, and two on one. */
class Company {
  readonly plan: GroupPlan = new GroupPlan();
  readonly members: Member[];
  #said = 0;

  private constructor(who: readonly Registered[]) {
    this.members = who.map(
      (each) => new Member(each, this.plan, { features: FEATURES.groups | FEATURES.stagedInbox, knowsIds: true }),
    );
  }

  static async found(t: Test, { process }: Node): Promise<Company> {
    const who: Registered[] = [];
    while (who.length < 3 || new Set(who.map(({ user }) => shardOf(user))).size < SHARDS)
      who.push(await register(process, `+4915110000${100 + who.length}`));
    const company = new Company(who);
    const [founder, ...others] = who;
    const adds = others.map(({ user }) => ({ kind: 'add', user, role: 'member' }) as const);
    const client = new RawClient(process.url);
    await client.login(founder!, FEATURES.groups);
    const change = company.plan.change(founder!, { kind: 'create' }, ...adds);
    await client.ask({ kind: 'group-change', group: company.plan.group, change });
    client.close();
    const { url } = process;
    const runs = company.members.map((member) => member.run(() => url));
    t.teardown(async () => {
      for (const member of company.members) member.stop();
      await Promise.all(runs);
    });
    await until('everybody is in', PATIENCE_MS, () => company.members.every(({ rows }) => rows.length === 1));
    return company;
  }

  /** Everybody writes `count` messages; resolves when all are acknowledged and every member has all of the others. */
  async write(what: string, count: number): Promise<void> {
    for (let round = 1; round <= count; round++) {
      for (const [index, member] of this.members.entries()) member.say(`${what}: ${round} of ${index}`);
    }
    this.#said += count;
    const hasAll = ({ rows, unacknowledged }: Member): boolean => unacknowledged === 0 && rows.length >= this.#due;
    await until(what, PATIENCE_MS, () => this.members.every(hasAll)).catch((error: unknown) => {
      throw new Error(this.members.map((member) => member.describe()).join('; '), { cause: error });
    });
  }

  /** The change that made the group, and what all others wrote. */
  get #due(): number {
    return 1 + this.#said * (this.members.length - 1);
  }

  /** Holds what everybody has against what all others have said. */
  check(t: Test, when: string): void {
    for (const [index, member] of this.members.entries()) {
      const texts = member.texts().slice(1);
      for (const [other, { sent }] of this.members.entries()) {
        const heard = texts.filter((text) => text.endsWith(` of ${other}`));
        t.strictSame(heard, other === index ? [] : sent, `${when}: ${index} has what ${other} wrote, once, in order`);
      }
      t.equal(texts.length, this.#due - 1);
      const orders = member.rows.map(({ order }) => order);
      t.strictSame(
        orders,
        orders.toSorted((a, b) => a - b),
        'and no place comes after a later one',
      );
    }
  }

  /** Words of a loss since the last look, by member. */
  takeLosses(): { readonly since: number; readonly until: number; readonly code: string }[][] {
    return this.members.map(({ losses }) => losses.splice(0));
  }
}

t.test('the shard of the group loses its newest: what is written afterwards arrives once', async (t) => {
  const directory = temporaryDirectory(t);
  const node = await Node.start(t, join(directory, 'store'));
  const company = await Company.found(t, node);
  await company.write('before', 2);
  const [owning, copy] = [shardOf(company.plan.group), join(directory, 'copy')];
  await loseNewest(t, node, company, owning, copy);
  for (const told of company.takeLosses()) t.match(told, [{ code: 'APP_RESTORED' }], 'everybody is told, once');
  // The same copy again, moments later: it does not know what was given out since it came back.
  await node.loseNewestOf(owning, copy);
  await company.write('after it came back twice', 2);
  company.check(t, 'twice from one copy');
  t.equal(await node.process.stop(), 0);
});

/** Everybody writes what `shard` will lose, and then what must be there. */
async function loseNewest(t: Test, node: Node, company: Company, shard: number, copy: string): Promise<void> {
  await node.backUp(copy);
  await company.write('to be lost', 2);
  await node.loseNewestOf(shard, copy);
  await company.write('after it', 2);
  company.check(t, 'without the newest of a shard');
}

const long = IS_LONG ? {} : { skip: 'GROUP_LOSSES=long has it run' };

t.test(
  'all comes back from a backup, a shard of members loses its newest, and the backup is used again',
  long,
  async (t) => {
    const directory = temporaryDirectory(t);
    const copy = join(directory, 'copy');
    const node = await Node.start(t, join(directory, 'store'));
    const company = await Company.found(t, node);
    await company.write('before', 2);
    await node.backUp(copy);
    const last = Math.max(...company.members.flatMap(({ rows }) => rows.map(({ order }) => order)));
    await company.write('in no backup', 3);
    await node.process.kill();
    const restored = await restoreStore(copy, join(directory, 'again'));
    t.equal(restored.groups, 1);
    await node.start(restored.directory);
    await company.write('after a restore', 3);
    company.check(t, 'restored');
    for (const told of company.takeLosses()) {
      t.match(told, [{ code: 'APP_RESTORED' }], 'told once');
      // Of one's own one has no place: who wrote last knows that of the message before.
      t.ok(told[0]!.since <= last + 1 && told[0]!.since >= last - company.members.length && told[0]!.until > last + 9);
    }

    const owning = shardOf(company.plan.group);
    await loseNewest(t, node, company, 1 - owning, join(directory, 'copy of members'));
    for (const [index, told] of company.takeLosses().entries()) {
      // Nothing is missing there if the owner was still sending all of it.
      const isLost = shardOf(company.members[index]!.who.user) !== owning;
      t.ok(told.length <= (isLost ? 1 : 0), 'those of the other shard have lost nothing');
    }

    // The first copy again: what the node gave out since it came back from that must not come a second time.
    await node.process.kill();
    const twice = await restoreStore(copy, join(directory, 'twice'));
    await node.start(twice.directory);
    await company.write('after a second restore', 2);
    company.check(t, 'restored a second time');
    t.equal(await node.process.stop(), 0);
  },
);
