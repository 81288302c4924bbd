import fc from 'fast-check';
import t from 'tap';
import { isAdminError } from './errors.ts';
import { LineReader, readRequest, writeAnswer } from './lines.ts';
import { LIMITS } from './limits.ts';

t.test('lines come out whole, however the bytes are cut', async () => {
  const text = fc
    .string({ unit: 'binary', maxLength: 20 })
    .map((line) => line.replaceAll('\n', ' ').replace(/\p{Cs}/gu, '?'));
  fc.assert(
    fc.property(fc.array(text, { maxLength: 8 }), fc.integer({ min: 1, max: 7 }), (lines, step) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const reader = new LineReader(1_000);
      const read: string[] = [];
      for (let at = 0; at < bytes.length; at += step) read.push(...reader.push(bytes.subarray(at, at + step))!);
      return JSON.stringify(read) === JSON.stringify(lines);
    }),
  );
});

t.test('a line of the bound passes, one byte more does not, with its end or without', async (t) => {
  t.strictSame(new LineReader(4).push(Buffer.from('abcd\n')), ['abcd']);
  t.equal(new LineReader(4).push(Buffer.from('abcde\n')), undefined);
  t.equal(new LineReader(4).push(Buffer.from('abcde')), undefined);
  const reader = new LineReader(4);
  t.strictSame(reader.push(Buffer.from('abc')), []);
  t.equal(reader.push(Buffer.from('de')), undefined);
});

t.test('a request is an object with an id and a verb', async (t) => {
  t.strictSame(readRequest('{"id":1,"verb":"status"}'), { id: 1, verb: 'status', parameters: {} });
  t.strictSame(readRequest('{"id":1,"cancel":true}'), { id: 1, cancel: true });
  for (const line of [
    '',
    'x',
    'null',
    '[]',
    '1',
    '{"verb":"a"}',
    '{"id":"1","verb":"a"}',
    '{"id":1}',
    '{"id":1,"verb":2}',
  ]) {
    t.throws(() => readRequest(line), { code: 'ADM_BAD_REQUEST' }, line);
  }
  try {
    readRequest('{"id":1.5,"verb":"a"}');
    t.fail();
  } catch (error) {
    t.ok(isAdminError(error));
  }
});

t.test('an answer that is too long is told as such', async (t) => {
  const line = writeAnswer({ id: 3, result: { text: 'x'.repeat(LIMITS.answerLineBytesMax) } });
  t.match(JSON.parse(line), { id: 3, error: { code: 'ADM_ANSWER_TOO_LONG' } });
});
