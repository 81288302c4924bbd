/**
 * One record of each shape that the layout at rest has, the same ones in every run. Test-only.
 *
 * `vectors/record-v2.json` holds their bytes as layout 2 has them; a change of these samples or of the layout shows there.
 */
import { closeSession, SessionRecord } from '../session-record.ts';
import { createConversation, Device } from './device.ts';
import { must } from './outcome.ts';

/** Records of each shape that the layout has. */
export function sampleRecords(): Record<string, SessionRecord> {
  const { alice, bob } = createConversation('samples');
  const offering = new Device('samples/offering');
  offering.initiate(new Device('samples/target', 1).bundle(100));
  const plainOffer = new Device('samples/plain');
  plainOffer.initiate(bob.bundle());
  const classicOffer = new Device('samples/classic offer');
  classicOffer.initiate(bob.strippedBundle());
  const skipping = createConversation('samples/skipping');
  const sent = Array.from({ length: 9 }, (_, index) => skipping.alice.send(String(index)));
  for (const index of [3, 8, 1]) must(skipping.bob.receive(sent[index]!));
  const archived = createConversation('samples/archived');
  for (let count = 0; count < 3; count++) archived.bob.initiate(archived.alice.bundle());
  return {
    'in conversation': alice.record!,
    'offering, with a one-time pre-key': offering.record!,
    'offering, without': plainOffer.record!,
    'offering, without the post-quantum part': classicOffer.record!,
    'in conversation, without the post-quantum part': createConversation('samples/classic', { hybrid: false }).bob
      .record!,
    'with skipped keys': skipping.bob.record!,
    'with archived sessions': archived.bob.record!,
    closed: closeSession(archived.bob.record!),
    empty: new SessionRecord(undefined, []),
  };
}
