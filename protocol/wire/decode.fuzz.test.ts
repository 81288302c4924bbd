/** A short run of the fuzzer, and proof that it can fail. */

import t from 'tap';
import { fuzz, vectorCorpus, type DecodeMessage } from './decode.fuzz.ts';
import { isWireError, wireError } from './errors.ts';
import { decodeMessage } from './frame.ts';
import type { Stanza } from './stanza.ts';

const corpus = (await vectorCorpus()).filter((bytes) => bytes.length < 1000);

t.test('bent messages break no claim', (t) => {
  const report = fuzz(corpus, 30_000, 20_261);
  t.equal(report.failure, undefined);
  t.ok(report.accepted > 1000, `${report.accepted} accepted`);
  t.ok(Object.keys(report.refused).length >= 12, `codes: ${Object.keys(report.refused).join(' ')}`);
  t.end();
});

t.test('the same seed gives the same run', (t) => {
  t.strictSame(fuzz(corpus, 500, 7), fuzz(corpus, 500, 7));
  t.notSame(fuzz(corpus, 500, 7), fuzz(corpus, 500, 8));
  t.end();
});

t.test('positive control: broken decoders are caught', (t) => {
  const broken: Record<string, DecodeMessage> = {
    'throws on input': (bytes) => {
      const result = decodeMessage(bytes);
      if (isWireError(result)) throw new Error(result.code);
      return result;
    },
    'changes a value': (bytes) => {
      const result = decodeMessage(bytes);
      return isWireError(result) ? result : result.map((stanza): Stanza => ({ ...stanza, tag: 'pong' }));
    },
    'accepts trailing bytes': (bytes) => {
      const result = decodeMessage(bytes);
      return isWireError(result) && result.code === 'WIRE_TRAILING_BYTES'
        ? decodeMessage(bytes.subarray(0, result.offset))
        : result;
    },
    'loses the offset': (bytes) => {
      const result = decodeMessage(bytes);
      return isWireError(result) ? wireError(result.code) : result;
    },
  };
  for (const [name, decode] of Object.entries(broken)) t.type(fuzz(corpus, 20_000, 1, decode).failure, 'string', name);
  t.end();
});
