import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { readConfig } from './config.ts';
import { checkLines, defaultFile, describeConfig, environmentLines, settingsPage } from './config/report.ts';
import { closest, environmentName, SETTING_NAMES, settingOf } from './config/settings.ts';
import { readSettings } from './config/sources.ts';
import { isStartupError } from './errors.ts';

function refusal(argv: string[], environment: Record<string, string> = {}): string {
  try {
    readConfig(argv, environment);
    return 'accepted';
  } catch (error) {
    return isStartupError(error) ? `${error.code}: ${error.message}` : String(error);
  }
}

/** What is said of a configuration file, with its name cut off. */
function refusalOfFile(text: string): string {
  try {
    readConfig(['--config', 'node.yaml'], {}, () => text);
    return 'accepted';
  } catch (error) {
    return isStartupError(error) ? error.message : String(error);
  }
}

t.test('a flag goes before the environment, that before the file, and that before the default', async (t) => {
  const port = (argv: string[], environment: Record<string, string>): number =>
    readConfig(argv, environment, () => 'port: 7450\n').port;
  t.equal(port([], {}), 7400);
  t.equal(port(['--config', 'node.yaml'], {}), 7450);
  t.equal(port([], { BLINDBEAM_CONFIG: 'node.yaml' }), 7450);
  t.equal(port(['--config', 'node.yaml'], { BLINDBEAM_PORT: '7500' }), 7500);
  t.equal(port(['--config', 'node.yaml', '--port', '7600'], { BLINDBEAM_PORT: '7500' }), 7600);
  t.equal(readConfig([], { BLINDBEAM_STORE_BYTES: '65536' }).storeBytes, 65_536);
});

t.test('a wrong setting is named with what it got and what it expects', async (t) => {
  t.equal(refusal(['--port', '70000']), 'APP_CONFIG: "port" expected an integer from 0 to 65535, got "70000".');
  t.match(refusal(['--port', '-1']), /^APP_CONFIG: /);
  t.match(refusal(['--workers', '0']), /"workers" expected an integer from 1 to 64/);
  t.match(refusal(['--workers', '2x']), /got "2x"/);
  t.match(refusal(['--log-level', 'loud']), /expected one of debug, info/);
  t.match(refusal(['--data', '']), /"data" expected a value/);
  t.match(refusal(['--stuck-ms', '99']), /^APP_CONFIG: "stuck-ms" expected 0 or at least 100, got "99"/);
  t.equal(refusal(['--stuck-ms', '0']), 'accepted');
  t.match(refusal([], { BLINDBEAM_WORKERS: 'many' }), /"workers" expected an integer .*\(BLINDBEAM_WORKERS\)/);
  t.match(refusal(['--log-levels', 'push']), /"log-levels" expected module=level/);
  t.match(refusal(['--log-levels', 'puhs=debug']), /with a module of listener, media, push and/);
  t.strictSame(readConfig(['--log-levels', 'push=debug, media=warn'], {}).logModules, { push: 'debug', media: 'warn' });
});

t.test('every mistake is told at once', async (t) => {
  const told = refusal(['--port', '70000', '--workers', '0', '--log-level', 'loud']);
  for (const name of ['port', 'workers', 'log-level']) t.match(told, `"${name}" expected`);
});

t.test('an unknown name is an error with the one that was probably meant', async (t) => {
  t.match(refusal(['--prot', '1']), /^APP_CONFIG: .*--prot.*--port/);
  t.equal(refusalOfFile('prot: 7450\n'), 'node.yaml line 1: there is no setting "prot"; did you mean port.');
  t.equal(refusalOfFile('port: 7450\nzebra: 1\n'), 'node.yaml line 2: there is no setting "zebra".');
  t.equal(closest('store_bytes', SETTING_NAMES), 'store-bytes');
  t.equal(closest('logging', ['port', 'data']), undefined);
  const { warnings } = readSettings([], { BLINDBEAM_PROT: '1', BLINDBEAM_SEEDS: '5', OTHER: 'x' });
  t.strictSame(
    warnings,
    ['BLINDBEAM_PROT is no setting; did you mean BLINDBEAM_PORT?'],
    'the environment is not ours alone',
  );
});

t.test('a file is read as YAML, and a mistake in it has its line', async (t) => {
  t.match(refusalOfFile('# a\nport: 7450\nworkers: none\n'), /"workers" expected .* got "none" \(node.yaml line 3\)/);
  t.match(refusalOfFile('port: [1, 2]\n'), /"port" expected an integer/);
  t.match(refusalOfFile('port:\n'), /"port" expected an integer from 0 to 65535, got nothing/);
  t.match(refusalOfFile('port: 1\nport: 2\n'), /unique/);
  t.match(refusalOfFile('- port\n'), /expected lines such as/);
  t.match(refusalOfFile('port: "unclosed\n'), /^node.yaml: /);
  t.equal(refusalOfFile(''), 'accepted');
  t.equal(refusalOfFile(defaultFile()), 'accepted', 'the default file');
  const all = defaultFile().replaceAll(/^#([a-z-]+:)/gm, '$1');
  t.strictSame(
    readConfig(['--config', 'x'], {}, () => all),
    { ...readConfig([], {}), isMetricsPortGiven: true, console: { port: 9465, isPortGiven: true } },
  );
  t.equal(readConfig(['--config', 'x'], {}, () => 'proxy: true\n').proxy, true, 'true is yes');
  t.match(refusal(['--config', '/nowhere/node.yaml']), /configuration file cannot be read: ENOENT/);
});

t.test('a value may lie in a file of its own', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'blindbeam-config-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'port');
  writeFileSync(path, '7450\n');
  t.equal(readConfig([], { BLINDBEAM_PORT_FILE: path }).port, 7450);
  t.match(refusal([], { BLINDBEAM_PORT_FILE: path, BLINDBEAM_PORT: '1' }), /both set/);
  t.match(refusal([], { BLINDBEAM_PORT_FILE: join(directory, 'none') }), /BLINDBEAM_PORT_FILE names .*cannot be read/);
  writeFileSync(path, 'secret-key\n');
  const environment = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY_FILE: path };
  t.match(readConfig(['--media', 's3://bucket'], environment).media, { kind: 's3', bucket: 'bucket' });
});

t.test('media lie on the disk unless a bucket is named, with credentials in the environment', async (t) => {
  const environment = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
  t.strictSame(readConfig([], {}).media, { kind: 'disk' });
  t.match(readConfig(['--media', 's3://bucket'], environment).media, { kind: 's3', bucket: 'bucket' });
  t.notMatch(JSON.stringify(readConfig(['--media', 's3://bucket'], environment)), 'secret');
  t.match(refusal(['--media', 's3://bucket']), /^APP_CONFIG: "media" needs AWS_ACCESS_KEY_ID/);
  t.match(refusal(['--media', 's3://id:hush@bucket'], environment), /^APP_CONFIG: "media" must hold no credentials/);
  t.notMatch(refusal(['--media', 's3://id:hush@bucket'], environment), 'hush');
});

t.test('TLS takes a certificate and its key, or neither', async (t) => {
  t.equal(readConfig([], {}).tls, undefined);
  t.strictSame(readConfig(['--tls-certificate', 'a.pem', '--tls-key', 'b.pem'], {}).tls, {
    certificate: 'a.pem',
    key: 'b.pem',
  });
  t.match(refusal(['--tls-certificate', 'a.pem']), /"tls-key" is needed/);
  t.match(refusal(['--tls-key', 'b.pem']), /"tls-certificate" is needed/);
});

t.test('codes are not printed to the log of a node that others can reach, unless that is asked for', async (t) => {
  t.match(refusal(['--host', '0.0.0.0']), /^APP_CONFIG: "host" is 0\.0\.0\.0/);
  t.equal(refusal(['--host', '0.0.0.0', '--unsafe-verifier', 'yes']), 'accepted');
  t.equal(refusal(['--host', '127.0.0.5']), 'accepted');
});

t.test('help, check and environment name every setting', async (t) => {
  const settings = readSettings(['--port', '7600'], {});
  for (const name of SETTING_NAMES) {
    t.match(describeConfig(), `--${name} `);
    t.match(environmentLines(settings), `${environmentName(name)}=`);
    t.match(settingOf(name).help, /^\S.*\S$/);
  }
  t.match(checkLines(settings), /^port +7600 +--port$/m);
  t.match(checkLines(settings), /^data +data +default$/m);
});

t.test('docs/settings.md is what the table says', async (t) => {
  const path = fileURLToPath(new URL('../../docs/settings.md', import.meta.url));
  t.equal(readFileSync(path, 'utf8'), settingsPage(), 'npx blindbeam config doc > docs/settings.md');
});
