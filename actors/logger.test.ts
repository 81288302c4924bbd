import t from 'tap';
import { LIMITS } from './limits.ts';
import { createLogger, moduleLogger, type NodeLogger } from './logger.ts';

type Line = Record<string, unknown>;

function logInto(lines: Line[], nowMs: () => number = () => 0): NodeLogger {
  const write = (line: string): void => void lines.push(JSON.parse(line) as Line);
  return createLogger({ format: 'json', level: 'info', worker: 1, write, clock: { monotonicMs: nowMs } });
}

t.test('what is secret or somebody’s is cut, at any depth', async (t) => {
  const lines: Line[] = [];
  const log = logInto(lines);
  log.info('event', {
    phone: '+4915100000001',
    nested: { ciphertext: 'abc', list: [{ ticket: 'xyz' }], fine: 1 },
    bytes: new Uint8Array([1, 2, 3]),
    reason: 'Error: no route to +4915100000001 at once',
    error: new Error('failed for +4915100000001'),
    port: 7400,
  });
  const [line] = lines;
  t.match(line, {
    phone: '[cut]',
    nested: { ciphertext: '[cut]', list: [{ ticket: '[cut]' }], fine: 1 },
    bytes: '[cut]',
  });
  t.equal(line!['reason'], 'Error: no route to [number] at once');
  t.equal(line!['port'], 7400);
  t.notMatch(JSON.stringify(line), '4915100000001');
});

t.test('the development verifier says what it would have sent, and nobody else does', async (t) => {
  const lines: Line[] = [];
  logInto(lines).info('verification_code', { phone: '+4915100000001', code: '123456' });
  t.match(lines[0], { phone: '+4915100000001', code: '123456' });
});

t.test('levels change while it runs, of all and of single modules', async (t) => {
  const lines: Line[] = [];
  const log = logInto(lines);
  const push = moduleLogger(log, 'push');
  const events = (): unknown[] => lines.splice(0).map(({ event }) => event);
  log.debug('a');
  push.debug('b');
  push.info('c');
  t.strictSame(events(), ['c']);
  log.setLevels({ level: 'warn', modules: { push: 'debug' } });
  log.info('d');
  push.debug('e');
  log.warn('f');
  t.strictSame(events(), ['e', 'f']);
  log.setLevels({ level: 'silent', modules: {} });
  log.error('g');
  push.error('h');
  t.strictSame(events(), []);
  log.setLevels({ level: 'info', modules: { push: 'silent' } });
  push.error('i');
  push.info('j');
  log.info('k');
  t.strictSame(events(), ['k']);
});

t.test('a module stands in its lines', async (t) => {
  const lines: Line[] = [];
  moduleLogger(logInto(lines), 'media').info('a', { x: 1 });
  t.match(lines[0], { module: 'media', x: 1, worker: 1, level: 'info', event: 'a' });
});

t.test('a failure that repeats itself is held back, and counted in the next line', async (t) => {
  const lines: Line[] = [];
  let nowMs = 0;
  const log = logInto(lines, () => nowMs);
  for (let round = 0; round < LIMITS.logRepeatsBurst + 5; round += 1) log.error('disk_slow');
  log.error('other');
  t.equal(lines.filter(({ event }) => event === 'disk_slow').length, LIMITS.logRepeatsBurst);
  t.equal(lines.at(-1)!['event'], 'other', 'others are not held back with it');
  nowMs = 1_000;
  log.error('disk_slow');
  t.equal(lines.at(-1)!['heldBack'], 5);
  for (let round = 0; round < 100; round += 1) log.info('life');
  t.equal(lines.filter(({ event }) => event === 'life').length, 100, 'what is no failure is not held back');
});
