import t from 'tap';
import { describeConfig, readConfig } from './config.ts';
import { isStartupError } from './errors.ts';

function refusal(argv: string[], environment: Record<string, string> = {}): string {
  try {
    readConfig(argv, environment);
    return 'accepted';
  } catch (error) {
    return isStartupError(error) ? `${error.code}: ${error.message}` : String(error);
  }
}

t.test('a flag goes before the environment, and that before the default', async (t) => {
  t.equal(readConfig([], {}).port, 7400);
  t.equal(readConfig([], { BLINDBEAM_PORT: '7500' }).port, 7500);
  t.equal(readConfig(['--port', '7600'], { BLINDBEAM_PORT: '7500' }).port, 7600);
  t.equal(readConfig([], { BLINDBEAM_STORE_BYTES: '65536' }).storeBytes, 65_536);
});

t.test('a wrong setting is named with what it got and what it expects', async (t) => {
  t.equal(refusal(['--port', '70000']), 'APP_CONFIG: "port" expected an integer from 0 to 65535, got "70000".');
  t.match(refusal(['--port', '-1']), /^APP_CONFIG: /);
  t.match(refusal(['--workers', '0']), /"workers" expected an integer from 1 to 64/);
  t.match(refusal(['--workers', '2x']), /got "2x"/);
  t.match(refusal(['--log-level', 'loud']), /expected one of debug, info/);
  t.match(refusal(['--data', '']), /"data" expected a value/);
  t.match(refusal(['--prot', '1']), /^APP_CONFIG: .*--prot/);
  t.match(refusal(['--stuck-ms', '99']), /^APP_CONFIG: "stuck-ms" expected 0 or at least 100, got "99"/);
  t.equal(refusal(['--stuck-ms', '0']), 'accepted');
  t.match(refusal([], { BLINDBEAM_WORKERS: 'many' }), /"workers" expected an integer/);
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

t.test('codes are not printed to the log of a node that others can reach, unless that is asked for', async (t) => {
  t.match(refusal(['--host', '0.0.0.0']), /^APP_CONFIG: "host" is 0\.0\.0\.0/);
  t.equal(refusal(['--host', '0.0.0.0', '--unsafe-verifier', 'yes']), 'accepted');
  t.equal(refusal(['--host', '127.0.0.5']), 'accepted');
});

t.test('the help names every setting with its default', async (t) => {
  for (const name of ['host', 'port', 'data', 'workers', 'store-bytes', 'log-format'])
    t.match(describeConfig(), `--${name}`);
});
