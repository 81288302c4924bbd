import t from 'tap';
import { readSettings, type Settings } from './sources.ts';
import { compareSettings, takenSettings } from './live.ts';

function settings(...argv: string[]): Settings {
  return readSettings(argv, {});
}

t.test('of new settings those are taken that a running node can take; the others are told of', async (t) => {
  const before = settings('--connections', '100', '--workers', '1');
  const now = settings('--connections', '200', '--workers', '2');
  t.strictSame(compareSettings(before, now), [
    { name: 'workers', before: '1', now: '2', live: false },
    { name: 'connections', before: '100', now: '200', live: true },
  ]);
  const taken = takenSettings(before, now);
  t.equal(taken.values.workers, 1);
  t.equal(taken.values.connections, 200);
  t.strictSame(
    compareSettings(taken, now).map(({ name }) => name),
    ['workers'],
    'it is told again at the next reload',
  );
  t.strictSame(compareSettings(now, now), []);
});

t.test('a certificate is replaced live, but TLS does not begin or end under those who are connected', async (t) => {
  const tls = (name: string): string[] => ['--tls-certificate', `${name}.crt`, '--tls-key', `${name}.key`];
  t.ok(compareSettings(settings(...tls('a')), settings(...tls('b'))).every(({ live }) => live));
  t.ok(compareSettings(settings(), settings(...tls('b'))).every(({ live }) => !live));
  t.ok(compareSettings(settings(...tls('a')), settings()).every(({ live }) => !live));
});
