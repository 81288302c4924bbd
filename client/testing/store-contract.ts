/**
 * What every store must do, as one suite. A new implementation calls it from its own test file.
 */

import type { Test } from 'tap';
import { ClientError } from '../errors.ts';
import type { Store, StoreChange } from '../store.ts';

/** Opens a store under test; with the same `name` again, the same contents. `undefined`: it cannot be reopened. */
export interface StoreFixture {
  open(name: string): Promise<Store>;
  readonly reopens: boolean;
}

/** Adds the suite to `t`. */
export function storeContract(t: Test, fixture: StoreFixture): void {
  t.test('a value comes back as it was put, and an absent one as undefined', async (t) => {
    const store = await fixture.open('values');
    await store.write([put('a', 1, 2, 3), put('empty')], 'flushed');
    t.same([...(await store.get('a'))!], [1, 2, 3]);
    t.same([...(await store.get('empty'))!], []);
    t.equal(await store.get('b'), undefined);
    await store.close();
  });

  t.test('what was put is a copy, and what is got is a copy', async (t) => {
    const store = await fixture.open('copies');
    const value = Uint8Array.of(1);
    await store.write([{ type: 'put', key: 'a', value }], 'flushed');
    value[0] = 9;
    const first = (await store.get('a'))!;
    t.same([...first], [1]);
    first[0] = 8;
    t.same([...(await store.get('a'))!], [1]);
    await store.close();
  });

  t.test('the last change of a key in a batch wins', async (t) => {
    const store = await fixture.open('last');
    await store.write([put('a', 1), { type: 'delete', key: 'a' }, put('b', 1), put('b', 2)], 'flushed');
    await store.write([{ type: 'delete', key: 'absent' }], 'eventual');
    t.equal(await store.get('a'), undefined);
    t.same([...(await store.get('b'))!], [2]);
    await store.close();
  });

  t.test('listing keeps to prefix, order, start and limit in both directions', async (t) => {
    const store = await fixture.open('lists');
    const keys = ['p', 'p/1', 'p/2', 'p/3', 'p/30', 'p0', 'q/1', 'o/9'];
    await store.write(
      keys.map((key) => put(key, 1)),
      'flushed',
    );
    const list = async (options: object): Promise<string[]> =>
      (await store.list({ prefix: 'p/', limit: 10, ...options })).map((entry) => entry.key);
    t.same(await list({}), ['p/1', 'p/2', 'p/3', 'p/30']);
    t.same(await list({ limit: 2 }), ['p/1', 'p/2']);
    t.same(await list({ after: 'p/2' }), ['p/3', 'p/30']);
    t.same(await list({ after: 'p/15' }), ['p/2', 'p/3', 'p/30'], 'the start need not exist');
    t.same(await list({ after: 'a' }), ['p/1', 'p/2', 'p/3', 'p/30'], 'a start before the prefix');
    t.same(await list({ newestFirst: true }), ['p/30', 'p/3', 'p/2', 'p/1']);
    t.same(await list({ newestFirst: true, after: 'p/3', limit: 1 }), ['p/2']);
    t.same(await list({ prefix: 'nothing/' }), []);
    await store.close();
  });

  t.test('concurrent batches are each applied whole', async (t) => {
    const store = await fixture.open('batches');
    const batches = Array.from({ length: 20 }, (_, n) => [put('x', n), put('y', n), put(`z/${n}`, n)]);
    await Promise.all(batches.map((batch) => store.write(batch, 'eventual')));
    t.same(await store.get('x'), await store.get('y'));
    t.equal((await store.list({ prefix: 'z/', limit: 100 })).length, 20);
    await store.close();
  });

  t.test('a closed store refuses with CLI_CLOSED', async (t) => {
    const store = await fixture.open('closed');
    await store.close();
    const calls: Promise<unknown>[] = [
      store.get('a'),
      store.list({ prefix: '', limit: 1 }),
      store.write([put('a', 1)], 'flushed'),
    ];
    for (const call of calls) {
      await t.rejects(
        call.then(() => undefined),
        { code: 'CLI_CLOSED' } satisfies Partial<ClientError>,
      );
    }
  });

  t.test('contents survive closing and opening', { skip: !fixture.reopens }, async (t) => {
    const first = await fixture.open('again');
    await first.write([put('flushed', 1)], 'flushed');
    await first.write([put('eventual', 2)], 'eventual');
    await first.close();
    const second = await fixture.open('again');
    t.same([...(await second.get('flushed'))!], [1]);
    t.same([...(await second.get('eventual'))!], [2], 'closing flushes');
    await second.close();
  });
}

function put(key: string, ...bytes: number[]): StoreChange {
  return { type: 'put', key, value: Uint8Array.from(bytes) };
}
