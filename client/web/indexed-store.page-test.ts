/**
 * The store of a browser, in one: the contract of every store, and what only this one has.
 */

import t from 'tap';
import { ClientError } from '../errors.ts';
import { storeContract } from '../testing/store-contract.ts';
import { deleteIndexedStore, indexedStore } from './indexed-store.ts';

t.test('over IndexedDB', async (t) => {
  storeContract(t, { open: (name) => indexedStore(`contract-${name}`)(), reopens: true });
});

t.test('a database is one client’s at a time, and free again after it', async (t) => {
  const first = await indexedStore('locked')();
  await t.rejects(indexedStore('locked')(), { code: 'CLI_STORE_LOCKED' });
  await t.rejects(deleteIndexedStore('locked'), { code: 'CLI_STORE_LOCKED' });
  await first.write([{ type: 'put', key: 'a', value: Uint8Array.of(7) }], 'flushed');
  await first.close();
  const second = await indexedStore('locked')();
  t.same([...(await second.get('a'))!], [7]);
  await second.close();
  await deleteIndexedStore('locked');
  const third = await indexedStore('locked')();
  t.equal(await third.get('a'), undefined);
  await third.close();
});

t.test('after close every call says so', async (t) => {
  const store = await indexedStore('closed')();
  await store.close();
  await t.rejects(store.get('a'), new ClientError('CLI_CLOSED'));
  await t.rejects(store.list({ prefix: '', limit: 1 }), new ClientError('CLI_CLOSED'));
  await t.rejects(store.write([], 'flushed'), new ClientError('CLI_CLOSED'));
});
