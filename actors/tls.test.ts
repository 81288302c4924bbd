import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Clock, Logger } from '../runtime/index.ts';
import { makeSelfSigned, OPENSSL } from '../test/certificates.ts';
import { CertificateWatch, checkPair, type CertificateInfo } from './tls.ts';

const DAY_MS = 86_400_000;

const directory = mkdtempSync(join(tmpdir(), 'blindbeam-tls-'));
t.teardown(() => rmSync(directory, { recursive: true }));
if (OPENSSL.skip === undefined) for (const name of ['one', 'two']) makeSelfSigned(directory, name, { days: 5 });
const path = (name: string): string => join(directory, name);
const now = Date.now();

t.test('a pair is told by what it says, or by what is wrong with it', OPENSSL, async (t) => {
  const found = checkPair({ certificate: path('one.crt'), key: path('one.key') }, now);
  t.match(found, { subject: 'CN=one' });
  const { expiresAtMs } = found as CertificateInfo;
  t.ok(expiresAtMs > now + 4 * DAY_MS && expiresAtMs < now + 6 * DAY_MS);
  const problem = (certificate: string, key: string, at = now): string => {
    const result = checkPair({ certificate: path(certificate), key: path(key) }, at);
    return 'problem' in result ? result.problem : 'none';
  };
  t.match(problem('one.crt', 'two.key'), /is not the one of the certificate/);
  t.match(problem('none.crt', 'one.key'), /cannot be read/);
  t.match(problem('one.crt', 'one.crt'), /key .* cannot be read/);
  t.match(problem('one.crt', 'one.key', now + 6 * DAY_MS), /ended on/);
  t.match(problem('one.crt', 'one.key', now - DAY_MS), /begins on/);
  writeFileSync(path('broken.crt'), 'no certificate');
  t.match(problem('broken.crt', 'one.key'), /cannot be read/);
  t.notMatch(problem('one.crt', 'two.key'), readFileSync(path('two.key'), 'utf8').split('\n')[1]!);
});

t.test('the watch takes a pair that has changed, once, and tells once of one that is wrong', OPENSSL, async (t) => {
  const files = { certificate: path('node.crt'), key: path('node.key') };
  const install = (certificate: string, key = certificate): void => {
    copyFileSync(path(`${certificate}.crt`), files.certificate);
    copyFileSync(path(`${key}.key`), files.key);
  };
  install('one');
  const taken: string[] = [];
  const told: string[] = [];
  const note = (event: string): void => void told.push(event);
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  let look: () => void = () => undefined;
  const clock: Clock = {
    nowMs: () => now,
    monotonicMs: () => 0,
    setTimer: (_delayMs, callback) => (look = callback),
    clearTimer: () => undefined,
  };
  const inUse = checkPair(files, now) as CertificateInfo;
  let refuses = false;
  const take = async (): Promise<void> => {
    if (refuses) throw new Error('a worker has refused');
    taken.push((checkPair(files, now) as CertificateInfo).subject);
  };
  const watch = new CertificateWatch({ files, inUse, clock, log, take });
  await watch.look();
  t.strictSame(taken, [], 'nothing has changed');
  install('two', 'one');
  await watch.look();
  await watch.look();
  t.strictSame(told.splice(0), ['certificate_refused'], 'half replaced');
  refuses = true;
  install('two');
  await watch.look();
  t.strictSame(told.splice(0), ['certificate_refused']);
  refuses = false;
  look();
  await watch.look();
  t.strictSame(taken, ['CN=two']);
  t.strictSame(told.splice(0), ['certificate_taken']);
  watch.stop();
});
