import t from 'tap';
import { LIMITS as WIRE_LIMITS } from '../../protocol/wire/index.ts';
import type { DeviceRecord, InboxEntry, SenderAddress, StoreBatch } from './inbox-store.ts';
import { claimInbox } from '../inbox/claim.ts';
import { Committer } from '../committer.ts';
import { decodeMarks, encodeMarks } from './layout.ts';
import { decodeNotice, encodeNotice, lossCodeOf } from './loss.ts';
import { MemoryStore } from './memory.ts';
import { STORE_KINDS } from './stores.test-kit.ts';

const ALICE = '100000000000001';
const BOB = '999999999999999';
const SENDER: SenderAddress = { user: ALICE, device: 3, creation: 7 };

function entry(seq: number, id = seq, bytes = 10): InboxEntry {
  const ciphertext = new Uint8Array(bytes).fill(seq & 0xff);
  return {
    seq,
    sender: ALICE,
    senderDevice: 3,
    senderCreation: 7,
    id,
    ts: 1_700_000_000_000 + seq,
    type: 'ratchet',
    ciphertext,
  };
}

const RECORD: DeviceRecord = {
  creation: 7,
  registration: 4321,
  loginKey: new Uint8Array(32).fill(1),
  identityKey: new Uint8Array(33).fill(5),
  signedPreKey: { id: 22, key: new Uint8Array(33).fill(5), signature: new Uint8Array(64).fill(9) },
};

for (const fixture of STORE_KINDS) {
  t.test(`${fixture.name}: entries come back in order of their positions, as they were put`, async (t) => {
    const { store: written, reopen } = fixture.open(t);
    await written.commit((batch) => {
      for (const seq of [3, 1, 300, 2]) batch.putEntry(BOB, 1, entry(seq));
      batch.putEntry(BOB, 2, entry(1));
      batch.putEntry(ALICE, 1, entry(1));
    });
    const store = await reopen();
    t.strictSame(
      [1, 2, 3].map((device) => store.entries(BOB, device, 0, 1_000, 100, 1_000_000).length),
      [4, 1, 0],
      'each device has its own',
    );
    const entries = store.entries(BOB, 1, 0, 1_000, 100, 1_000_000);
    t.strictSame(
      entries.map((each) => each.seq),
      [1, 2, 3, 300],
    );
    t.same(
      { ...entries[3], ciphertext: [...entries[3]!.ciphertext] },
      { ...entry(300), ciphertext: [...entry(300).ciphertext] },
    );
  });

  t.test(
    `${fixture.name}: an outbox has what was put into it, row by row and in order, and not what was removed`,
    async (t) => {
      const { store, reopen } = fixture.open(t);
      const OTHER = { ...SENDER, creation: 8 };
      const put = (batch: StoreBatch, sender: SenderAddress, to: string, id: number): void => {
        const ciphertext = new Uint8Array(100).fill(id & 0xff);
        const envelopes = [
          { device: 1, type: 'prekey', ciphertext },
          { device: 7, type: 'ratchet', ciphertext: ciphertext.subarray(0, 3) },
        ] as const;
        batch.outbox.put({ sender, to, id, ts: 1_700_000_000_000 + id, envelopes });
      };
      await store.commit((batch) => {
        for (const id of [300, 2, 1]) put(batch, SENDER, BOB, id);
        put(batch, OTHER, BOB, 1);
        put(batch, SENDER, ALICE, 9);
      });
      await store.commit((batch) => {
        batch.outbox.remove(SENDER, BOB, 1);
        batch.outbox.put({ sender: SENDER, to: BOB, id: 2, ts: 7, envelopes: [], lost: 'APP_EXPIRED' });
      });
      const again = await reopen();
      t.strictSame(
        again.outbox.heads(undefined, Infinity).map(({ sender, to, id, isLost }) => [sender.creation, to, id, isLost]),
        [
          [7, ALICE, 9, false],
          [7, BOB, 2, true],
          [7, BOB, 300, false],
          [8, BOB, 1, false],
        ],
      );
      const [lost, kept] = again.outbox.entries(SENDER, BOB, 0, 1_000, 10, 1_000_000);
      t.match(lost, { sender: SENDER, to: BOB, id: 2, ts: 7, envelopes: [], lost: 'APP_EXPIRED' });
      t.match(kept, { id: 300, ts: 1_700_000_000_300, lost: undefined });
      t.strictSame(
        kept!.envelopes.map(({ device, type, ciphertext }) => [device, type, ciphertext.length, ciphertext[0]]),
        [
          [1, 'prekey', 100, 300 & 0xff],
          [7, 'ratchet', 3, 300 & 0xff],
        ],
      );
      const idsOf = (after: number, through: number, count: number, bytes: number): number[] =>
        again.outbox.entries(SENDER, BOB, after, through, count, bytes).map(({ id }) => id);
      t.strictSame(idsOf(2, 1_000, 10, 1), [300], 'one at least');
      t.strictSame(idsOf(0, 1_000, 10, 100), [2]);
      t.strictSame(idsOf(0, 299, 10, 1_000_000), [2]);
      t.strictSame(idsOf(0, 1_000, 1, 1_000_000), [2]);
      t.equal(again.outbox.doubtedMs(), 0);
      const largest = WIRE_LIMITS.messageIdMax;
      await again.commit((batch) => batch.outbox.put({ sender: SENDER, to: BOB, id: largest, ts: 7, envelopes: [] }));
      t.strictSame(idsOf(300, largest, 10, 1_000_000), [largest], 'the largest id that a client may choose');
      t.strictSame(idsOf(0, 300, 10, 1_000_000), [2, 300]);
    },
  );

  t.test(`${fixture.name}: a page keeps to its bounds but holds at least one entry`, async (t) => {
    const { store } = fixture.open(t);
    await store.commit((batch) => {
      for (let seq = 1; seq <= 10; seq++) batch.putEntry(BOB, 1, entry(seq, seq, 100));
    });
    const seqs = (after: number, through: number, count: number, bytes: number): number[] =>
      store.entries(BOB, 1, after, through, count, bytes).map((each) => each.seq);
    t.strictSame(seqs(0, 10, 3, 1_000_000), [1, 2, 3], 'count');
    t.strictSame(seqs(0, 10, 100, 250), [1, 2], 'bytes');
    t.strictSame(seqs(0, 10, 100, 1), [1], 'at least one');
    t.strictSame(seqs(7, 9, 100, 1_000_000), [8, 9], 'range');
    t.strictSame(seqs(10, 10, 100, 1_000_000), [], 'empty');
  });

  t.test(
    `${fixture.name}: positions are never given out again, not even after the inbox was emptied and reopened`,
    async (t) => {
      const { store, reopen } = fixture.open(t);
      t.equal(store.lastSeq(BOB, 1), 0);
      await store.commit((batch) => {
        batch.putEntry(BOB, 1, entry(1));
        batch.putEntry(BOB, 1, entry(2));
      });
      t.equal(store.lastSeq(BOB, 1), 2);
      await store.commit((batch) => {
        batch.removeEntry(BOB, 1, 1);
        batch.removeEntry(BOB, 1, 2);
        batch.putAcknowledged(BOB, 1, 2, 2);
      });
      const reopened = await reopen();
      t.equal(reopened.lastSeq(BOB, 1), 2);
      t.equal(reopened.acknowledged(BOB, 1), 2);
      t.equal(reopened.countEntries(BOB, 1, 100), 0);
    },
  );

  t.test(
    `${fixture.name}: a position that was given out and is gone from the end is not given out again`,
    async (t) => {
      const { store, reopen } = fixture.open(t);
      await store.commit((batch) => {
        for (const seq of [1, 2, 3]) batch.putEntry(BOB, 1, entry(seq));
      });
      await store.commit((batch) => {
        batch.removeEntry(BOB, 1, 3);
        batch.putAcknowledged(BOB, 1, 0, 3);
      });
      const reopened = await reopen();
      t.equal(reopened.lastSeq(BOB, 1), 3);
      t.equal(reopened.acknowledged(BOB, 1), 0);
      await reopened.commit((batch) => batch.putEntry(BOB, 1, entry(4)));
      t.equal(reopened.lastSeq(BOB, 1), 4, 'an entry after the mark counts too');
    },
  );

  t.test(`${fixture.name}: what waits and what is lost of a conversation stands in its record`, async (t) => {
    const { store, reopen } = fixture.open(t);
    const waiting = [
      { device: 1, first: 5, last: 2 ** 40, count: 70_000, bytes: 2 ** 33 },
      { device: 127, first: 1, last: 1, count: 1, bytes: 74 },
    ];
    const gaps = [
      { since: 1, until: 4, code: 'APP_EXPIRED' as const },
      { since: 2 ** 41, until: 2 ** 41, code: 'APP_UNDELIVERABLE' as const },
    ];
    const other = { ...SENDER, user: BOB };
    await store.commit((batch) => {
      batch.putConversation(BOB, SENDER, { accepted: 9, delivered: 4, waiting, gaps });
      batch.putConversation(BOB, other, {
        accepted: 9,
        delivered: 9,
        gaps: [{ since: 1, until: 2, code: 'APP_PRUNED' }],
      });
      batch.putConversation(BOB, { ...SENDER, creation: 8 }, { accepted: 2, delivered: 2 });
      batch.putConversation(ALICE, SENDER, { accepted: 1, delivered: 0, waiting: waiting.slice(1) });
    });
    const reopened = await reopen();
    t.strictSame(reopened.conversation(BOB, SENDER), { accepted: 9, delivered: 4, waiting, gaps });
    t.strictSame(reopened.conversation(BOB, other)?.gaps, [{ since: 1, until: 2, code: 'APP_PRUNED' }]);
    t.strictSame(
      reopened.waitingConversations(BOB).map(({ sender, record }) => [sender, record.accepted]),
      [[SENDER, 9]],
    );
    t.strictSame(reopened.waitingConversations('555555555555555'), []);
  });

  t.test(`${fixture.name}: the entries of one sender are found among those of others, within bounds`, async (t) => {
    const { store } = fixture.open(t);
    const from = (seq: number, device: number): InboxEntry => ({ ...entry(seq, seq, 100), senderDevice: device });
    await store.commit((batch) => {
      for (let seq = 1; seq <= 40; seq++) batch.putEntry(BOB, 1, from(seq, seq % 4 === 0 ? 3 : 9));
      batch.putEntry(BOB, 1, { ...from(41, 3), type: 'pruned', ciphertext: new Uint8Array(7) });
      batch.putEntry(BOB, 1, { ...from(42, 3), senderCreation: 8 });
    });
    const seqs = (after: number, through: number, looksMax: number, countMax: number, bytesMax: number): number[] =>
      store.entriesOf(BOB, 1, SENDER, after, through, { looksMax, countMax, bytesMax }).map((found) => found.seq);
    t.strictSame(seqs(0, 99, 100, 3, 1_000_000), [4, 8, 12], 'count');
    t.strictSame(seqs(0, 99, 9, 30, 1_000_000), [4, 8], 'looks');
    t.strictSame(seqs(0, 99, 100, 30, 250), [4, 8], 'bytes');
    t.strictSame(seqs(0, 99, 100, 30, 1), [4], 'at least one');
    t.strictSame(seqs(30, 99, 100, 30, 1_000_000), [32, 36, 40], 'no notices, no other registration');
    t.strictSame(seqs(4, 11, 100, 30, 1_000_000), [8], 'range');
  });

  t.test(`${fixture.name}: the heads of inboxes, a few at a time`, async (t) => {
    const { store } = fixture.open(t);
    t.strictSame(store.inboxHeads(undefined, 9), []);
    await store.commit((batch) => {
      for (const seq of [7, 8]) batch.putEntry(BOB, 1, entry(seq));
      for (const seq of [3, 9]) batch.putEntry(ALICE, 2, entry(seq));
      batch.putEntry(ALICE, 127, entry(5));
    });
    const first = store.inboxHeads(undefined, 2);
    t.strictSame(first, [
      { user: ALICE, device: 2, ts: entry(3).ts },
      { user: ALICE, device: 127, ts: entry(5).ts },
    ]);
    t.strictSame(store.inboxHeads(first[1], 2), [{ user: BOB, device: 1, ts: entry(7).ts }]);
    t.strictSame(store.inboxHeads({ user: BOB, device: 1 }, 2), []);
  });

  t.test(`${fixture.name}: conversations of two registrations of one device are two`, async (t) => {
    const { store, reopen } = fixture.open(t);
    const later = { ...SENDER, creation: 8 };
    t.equal(store.conversation(BOB, SENDER), undefined);
    t.equal(store.latestCreation(BOB, ALICE, 3), undefined);
    await store.commit((batch) => {
      batch.putConversation(BOB, SENDER, { accepted: 41, delivered: 40 });
      batch.putConversation(BOB, later, { accepted: 1, delivered: 0 });
      batch.putConversation(BOB, { ...later, device: 4, creation: 99 }, { accepted: 9, delivered: 9 });
    });
    const reopened = await reopen();
    t.strictSame(reopened.conversation(BOB, SENDER), { accepted: 41, delivered: 40 });
    t.strictSame(reopened.conversation(BOB, later), { accepted: 1, delivered: 0 });
    t.equal(reopened.latestCreation(BOB, ALICE, 3), 8);
    const group = { user: '700000000000001', device: 0, creation: 0 };
    await reopened.commit((batch) => batch.putConversation(BOB, group, { accepted: 2, delivered: 2 }));
    t.equal(reopened.latestCreation(BOB, group.user, 0), 0, 'a group stands in an inbox with creation 0');
  });

  t.test(`${fixture.name}: decisions, requests, reports and push registrations outlive a restart`, async (t) => {
    const { store, reopen } = fixture.open(t);
    const before = store.protection;
    t.equal(before.guard(BOB), undefined);
    t.equal(before.relation(BOB, ALICE), undefined);
    t.equal(before.lastReport(), 0);
    const carol = '500000000000000';
    const report = { ts: 5, reporter: BOB, sender: ALICE, senderDevice: 3, senderCreation: 7, id: 41 };
    const web = {
      platform: 'web',
      url: 'https://x',
      key: new Uint8Array(65).fill(4),
      secret: new Uint8Array(16),
    } as const;
    await store.commit(({ protection, ...batch }) => {
      batch.putDevice(BOB, 1, RECORD);
      protection.putGuard(BOB, { policy: 'ask', relations: 70_000 });
      protection.putRelation(BOB, ALICE, { accepted: true, blocked: true });
      protection.putRelation(BOB, carol, { accepted: true, blocked: false });
      protection.putRelation(ALICE, BOB, { accepted: false, blocked: true });
      protection.putRequest(BOB, carol, { count: 3, ts: 1_700_000_000_000 });
      protection.putRequest(BOB, '400000000000000', { count: 1, ts: 9 });
      for (const place of [1, 2, 300])
        protection.putReport(place, { ...report, evidence: Uint8Array.of(place & 0xff) });
      protection.putPush(BOB, 1, web);
      protection.putPush(BOB, 2, { platform: 'fcm', token: 'abc' });
    });
    const { protection } = await reopen();
    t.same(protection.guard(BOB), { policy: 'ask', relations: 70_000 });
    t.same(protection.relation(ALICE, BOB), { accepted: false, blocked: true });
    t.same(protection.relations(BOB, '', 9), [
      { user: ALICE, decision: { accepted: true, blocked: true }, request: undefined },
      { user: '400000000000000', decision: undefined, request: { count: 1, ts: 9 } },
      { user: carol, decision: { accepted: true, blocked: false }, request: { count: 3, ts: 1_700_000_000_000 } },
    ]);
    t.same(
      protection.relations(BOB, ALICE, 1).map(({ user }) => user),
      ['400000000000000'],
      'a page, after the one that is named',
    );
    t.same(
      protection.reports(2, 9).map(({ place, report: { evidence, ...rest } }) => [place, [...evidence], rest]),
      [
        [2, [2], report],
        [300, [44], report],
      ],
    );
    t.equal(protection.lastReport(), 300);
    t.same(protection.push(BOB, 1), web);
    const reopened = await reopen();
    await reopened.commit((batch) => {
      batch.removeDevice(BOB, 1);
      batch.protection.removePush(BOB, 2);
      batch.protection.removeReport(300);
      batch.protection.removeRelation(BOB, ALICE);
    });
    t.equal(reopened.protection.push(BOB, 1), undefined, 'goes with its device');
    t.equal(reopened.protection.push(BOB, 2), undefined);
    t.equal(reopened.protection.lastReport(), 2);
    t.equal(reopened.protection.relation(BOB, ALICE), undefined);
  });

  t.test(`${fixture.name}: accounts, numbers, devices and pre-keys`, async (t) => {
    const { store, reopen } = fixture.open(t);
    const account = { user: ALICE, phone: '+4915100000001', devices: [3], creations: 7 };
    await store.commit((batch) => {
      batch.putAccount(account);
      batch.putDevice(ALICE, 3, RECORD);
      for (const id of [30, 10, 20]) batch.putPreKey(ALICE, 3, { id, key: new Uint8Array(33).fill(id) });
      batch.putPreKey(ALICE, 4, { id: 1, key: new Uint8Array(33) });
    });
    const reopened = await reopen();
    t.same(reopened.account(ALICE), account);
    t.equal(reopened.userOfPhone('+4915100000001'), ALICE);
    t.equal(reopened.userOfPhone('+4915100000002'), undefined);
    t.same(reopened.device(ALICE, 3)?.registration, 4321);
    t.strictSame([...reopened.device(ALICE, 3)!.loginKey], [...RECORD.loginKey]);
    t.strictSame(
      reopened.preKeys(ALICE, 3, 2).map((preKey) => preKey.id),
      [10, 20],
    );
    await reopened.commit((batch) => batch.removePreKey(ALICE, 3, 10));
    t.strictSame(
      reopened.preKeys(ALICE, 3, 9).map((preKey) => preKey.id),
      [20, 30],
    );
    await reopened.commit((batch) => batch.removeDevice(ALICE, 3));
    t.equal(reopened.device(ALICE, 3), undefined);
    t.strictSame(reopened.preKeys(ALICE, 3, 9), []);
    t.equal(reopened.preKeys(ALICE, 4, 9).length, 1, 'of another device, untouched');
  });

  t.test(`${fixture.name}: KEM pre-keys, and the last-resort one in the device's record`, async (t) => {
    const { store, reopen } = fixture.open(t);
    const kem = (id: number) => ({
      id,
      key: new Uint8Array(1_569).fill(id),
      signature: new Uint8Array(64).fill(id + 1),
    });
    await store.commit((batch) => {
      batch.putDevice(ALICE, 3, { ...RECORD, lastResort: kem(99) });
      batch.putDevice(ALICE, 4, RECORD);
      for (const id of [30, 10, 20]) batch.putKemPreKey(ALICE, 3, kem(id));
      batch.putKemPreKey(ALICE, 3, kem(0xff));
      batch.putKemPreKey(ALICE, 4, kem(10));
      batch.putPreKey(ALICE, 3, { id: 10, key: new Uint8Array(33) });
    });
    const reopened = await reopen();
    t.strictSame(reopened.stock(), { devices: 2, preKeys: 1, kemPreKeys: 5 });
    const ids = (device: number): number[] => reopened.kemPreKeys(ALICE, device, 9).map((preKey) => preKey.id);
    t.strictSame(ids(3), [10, 20, 30, 0xff]);
    t.equal(reopened.countKemPreKeys(ALICE, 3, 9), 4);
    t.equal(reopened.countKemPreKeys(ALICE, 3, 2), 2);
    t.equal(reopened.countKemPreKeys(ALICE, 5, 2), 0);
    const [first] = reopened.kemPreKeys(ALICE, 3, 1);
    t.ok(first!.key.every((byte) => byte === 10) && first!.key.length === 1_569);
    t.ok(first!.signature.every((byte) => byte === 11) && first!.signature.length === 64);
    t.equal(reopened.device(ALICE, 3)!.lastResort!.id, 99);
    t.strictSame([...reopened.device(ALICE, 3)!.lastResort!.key], [...kem(99).key]);
    t.equal(reopened.device(ALICE, 4)!.lastResort, undefined);
    await reopened.commit((batch) => batch.removeKemPreKey(ALICE, 3, 10));
    t.strictSame(ids(3), [20, 30, 0xff]);
    t.equal(reopened.preKeys(ALICE, 3, 9).length, 1, 'the other kind has ids of its own');
    await reopened.commit((batch) => batch.removeDevice(ALICE, 3));
    t.strictSame(ids(3), []);
    t.strictSame(ids(4), [10], 'of another device, untouched');
    t.strictSame(reopened.stock(), { devices: 1, preKeys: 0, kemPreKeys: 1 }, 'the stock of all');
  });

  t.test(`${fixture.name}: an inbox is forgotten whole and says what it freed`, async (t) => {
    const { store } = fixture.open(t);
    await store.commit((batch) => {
      batch.putEntry(BOB, 1, entry(1, 1, 100));
      batch.putEntry(BOB, 1, entry(2, 2, 100));
      batch.putAcknowledged(BOB, 1, 0, 2);
      batch.putEntry(BOB, 2, entry(1));
      batch.putQueuedBytes(12_345);
    });
    t.equal(store.queuedBytes(), 12_345);
    let freed = 0;
    await store.commit((batch) => {
      freed = batch.forgetInbox(BOB, 1);
    });
    t.equal(freed, 2 * (100 + 64));
    t.equal(store.countEntries(BOB, 1, 9), 0);
    t.equal(store.countEntries(BOB, 2, 9), 1);
  });

  t.test(`${fixture.name}: who has written to whom, whatever the device; minutes and privacy by user`, async (t) => {
    const { store, reopen } = fixture.open(t);
    const chosen = { audience: 'nobody', shown: [ALICE], hidden: [] } as const;
    t.equal(store.hasWritten(ALICE, BOB), false);
    t.equal(store.seenMinute(ALICE), undefined);
    t.equal(store.privacy(ALICE), undefined);
    await store.commit((batch) => {
      batch.putConversation(BOB, { user: ALICE, device: 127, creation: 0xffff_ffff }, { accepted: 1, delivered: 0 });
      // A group that was given the id of a user by whoever made it.
      batch.putConversation(ALICE, { user: BOB, device: 0, creation: 0 }, { accepted: 1, delivered: 0 });
      batch.putSeenMinute(ALICE, 29_755_200);
      batch.putSeenMinute(BOB, 0);
      batch.putPrivacy(BOB, chosen);
    });
    const reopened = await reopen();
    t.equal(reopened.hasWritten(ALICE, BOB), true);
    t.equal(reopened.hasWritten(BOB, ALICE), false, 'one direction, and a group is not the user whose id it has');
    t.equal(reopened.hasWritten('100000000000000', BOB), false);
    t.equal(reopened.hasWritten('100000000000002', BOB), false);
    t.equal(reopened.seenMinute(ALICE), 29_755_200);
    t.equal(reopened.seenMinute(BOB), 0);
    t.strictSame(reopened.privacy(BOB), chosen);
    t.equal(reopened.privacy(ALICE), undefined);
  });

  t.test(
    `${fixture.name}: fresh entries outlive the opening, and are waiting when the store is taken over`,
    async (t) => {
      const { store, reopen } = fixture.open(t);
      await store.commit((batch) => {
        batch.putFresh(1, BOB, 1, entry(5));
        batch.putFresh(2, ALICE, 2, entry(9));
        batch.putFresh(3, BOB, 1, entry(6));
        batch.putEntry(BOB, 1, entry(4));
        batch.putConversation(BOB, SENDER, { accepted: 6, delivered: 3 });
      });
      t.equal(store.fresh(2)?.seq, 9);
      t.strictSame([...store.fresh(3)!.ciphertext], [...entry(6).ciphertext]);
      await store.commit((batch) => batch.removeFresh(1));
      t.equal(store.fresh(1), undefined);
      const reopened = await reopen();
      t.match(reopened.freshEntries(1), [{ arrival: 2, user: ALICE, device: 2, entry: { seq: 9 } }]);
      await claimInbox(reopened, new Committer(reopened, () => undefined));
      t.strictSame(reopened.freshEntries(9), []);
      const waiting = reopened.entries(BOB, 1, 0, 99, 99, 9_999);
      t.strictSame(
        waiting.map((each) => each.seq),
        [4, 6],
      );
      t.strictSame([...waiting[1]!.ciphertext], [...entry(6).ciphertext]);
      t.equal(reopened.lastSeq(ALICE, 2), 9);
      t.strictSame(reopened.conversation(BOB, SENDER)?.waiting, [
        { device: 1, first: 6, last: 6, count: 1, bytes: 74 },
      ]);
    },
  );
}

t.test('a mark of an early store, six bytes, is read', async (t) => {
  const early = Buffer.from('000000000029', 'hex');
  t.strictSame(decodeMarks(early), { acknowledged: 41, last: 41 });
  t.strictSame(decodeMarks(encodeMarks(41, 50)), { acknowledged: 41, last: 50 });
});

t.test('a notice keeps its ids and its reason', async (t) => {
  for (const code of ['APP_EXPIRED', 'APP_PRUNED', 'APP_UNDELIVERABLE'] as const) {
    const gap = { since: 2 ** 40, until: 2 ** 40 + 9, code };
    t.strictSame(decodeNotice(gap.until, encodeNotice(gap)), gap);
  }
  t.throws(() => lossCodeOf(99), RangeError);
});

t.test('memory: a refused commit changes nothing', async (t) => {
  const store = new MemoryStore();
  store.failNextCommits(1);
  t.equal(await store.commit((batch) => batch.putEntry(BOB, 1, entry(1))), 'full');
  t.equal(store.countEntries(BOB, 1, 9), 0);
  t.equal(await store.commit((batch) => batch.putEntry(BOB, 1, entry(1))), 'ok');
  t.equal(store.countEntries(BOB, 1, 9), 1);
});
