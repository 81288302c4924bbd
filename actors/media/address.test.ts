import t from 'tap';
import { readAddress, readCredentials } from './address.ts';

t.test('an address of an object store, and what is filled in', async (t) => {
  t.strictSame(readAddress('disk'), { kind: 'disk' });
  t.strictSame(readAddress('s3://media?endpoint=http://127.0.0.1:9000&region=eu-1'), {
    ...{ kind: 's3', bucket: 'media', prefix: '', endpoint: 'http://127.0.0.1:9000', region: 'eu-1' },
  });
  t.match(readAddress('s3://media/blindbeam/one/'), { prefix: 'blindbeam/one/', region: 'us-east-1' });
  t.match(readAddress('s3://media?region=eu-central-1'), { endpoint: 'https://s3.eu-central-1.amazonaws.com' });
});

const WRONG = [
  's4://media',
  'media',
  's3://',
  's3://UPPER',
  's3://key:secret@media',
  's3://media/a%20b',
  's3://media/../other?x=1',
  's3://media?endpoint=ftp://host',
  's3://media?endpoint=https://host/path',
  's3://media?endpoint=https://key:secret@host',
  's3://media?region=eu%201',
  's3://media?secret=abc',
];

t.test('whatever else is refused without repeating it', async (t) => {
  for (const text of WRONG) {
    const read = readAddress(text);
    t.ok('problem' in read, text);
    t.notMatch(JSON.stringify(read), /secret|abc/);
  }
});

t.test('credentials come from the environment, both halves or none', async (t) => {
  const both = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' };
  t.strictSame(readCredentials(both), { accessKeyId: 'id', secretAccessKey: 'key', sessionToken: undefined });
  t.match(readCredentials({ ...both, AWS_SESSION_TOKEN: 'token' }), { sessionToken: 'token' });
  for (const name of Object.keys(both)) t.match(readCredentials({ ...both, [name]: '' }), { problem: /needs AWS_/ });
});
