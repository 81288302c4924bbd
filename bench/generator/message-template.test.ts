import t from 'tap';
import { FrameWriter, inboxAckStanza, messageStanza } from '../../protocol/wire/index.ts';
import { CIPHERTEXT_TAG_BYTES, MessageTemplate, readTag, writeInboxAck, writeTag } from './message-template.ts';

const TO = '123456789012345';
const ciphertext = Uint8Array.from({ length: 100 }, (_, index) => 255 - index);

/** The same frame by the real encoder. */
function encoded(id: number): string {
  const tagged = ciphertext.slice();
  writeTag(id, tagged, 0);
  const writer = new FrameWriter();
  writer.append(messageStanza({ to: TO, id, envelopes: [{ device: 1, type: 'ratchet', ciphertext: tagged }] }));
  return Buffer.from(writer.bytes()).toString('hex');
}

t.test('a patched template is what the encoder writes, at every border of the id and between', async (t) => {
  const template = new MessageTemplate({ to: TO, device: 1, ciphertext: ciphertext.slice() });
  const borders = [32, 256, 65_536, 16_777_216, 4_294_967_296];
  const ids = borders.flatMap((border) => [border - 2, border - 1, border, border + 1]).filter((id) => id < 2 ** 32);
  for (const id of [1, 2, ...ids, 3, 1000, 1001, 30]) {
    const target = new Uint8Array(300);
    const end = template.write(id, target, 7);
    t.equal(Buffer.from(target.subarray(7, end)).toString('hex'), encoded(id), `id ${id}`);
    t.equal(template.bytesOf(id), end - 7);
  }
});

t.test('the tag in a ciphertext is its id', async (t) => {
  for (const id of [1, 255, 256, 2 ** 31, 2 ** 32 - 1]) {
    const bytes = new Uint8Array(CIPHERTEXT_TAG_BYTES);
    writeTag(id, bytes, 0);
    t.equal(readTag(bytes, 0), id);
  }
  t.throws(() => new MessageTemplate({ to: TO, device: 1, ciphertext: new Uint8Array(3) }), RangeError);
});

t.test('an acknowledgement is what the encoder writes', async (t) => {
  for (const seq of [1, 31, 32, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    const writer = new FrameWriter();
    writer.append(inboxAckStanza({ seq }));
    const target = new Uint8Array(40);
    const end = writeInboxAck(seq, target, 3);
    t.same(target.subarray(3, end), writer.bytes(), `seq ${seq}`);
  }
});
