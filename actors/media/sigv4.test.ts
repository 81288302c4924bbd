/** The examples that the Amazon S3 API reference gives for the signature in a header, with its example credentials. */

import { createHash } from 'node:crypto';
import t from 'tap';
import { EMPTY_HASH, encodePath, signHeaders } from './sigv4.ts';

const CREDENTIALS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
};
const NOW = Date.UTC(2013, 4, 24);
const HOST = 'examplebucket.s3.amazonaws.com';

const EXAMPLES = [
  {
    name: 'GET Object',
    request: { method: 'GET', path: '/test.txt', query: {}, headers: { host: HOST, range: 'bytes=0-9' } },
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'PUT Object',
    request: {
      ...{ method: 'PUT', path: '/test$file.text', query: {} },
      headers: { host: HOST, date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
      payloadHash: createHash('sha256').update('Welcome to Amazon S3.').digest('hex'),
    },
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'GET Bucket Lifecycle',
    request: { method: 'GET', path: '/', query: { lifecycle: '' }, headers: { host: HOST } },
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    name: 'List Objects',
    request: { method: 'GET', path: '/', query: { prefix: 'J', 'max-keys': '2' }, headers: { host: HOST } },
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
] as const;

for (const { name, request, signature } of EXAMPLES) {
  t.test(`${name} is signed as the reference signs it`, async (t) => {
    const headers = signHeaders({ payloadHash: EMPTY_HASH, ...request }, CREDENTIALS, 'us-east-1', NOW);
    t.equal(headers['x-amz-date'], '20130524T000000Z');
    t.ok(headers['authorization']!.endsWith(`Signature=${signature}`), headers['authorization']);
  });
}

t.test('the token of temporary credentials is sent and signed', async (t) => {
  const request = { method: 'GET', path: '/', query: {}, headers: { host: HOST }, payloadHash: EMPTY_HASH };
  const headers = signHeaders(request, { ...CREDENTIALS, sessionToken: 'token' }, 'us-east-1', NOW);
  t.equal(headers['x-amz-security-token'], 'token');
  t.match(headers['authorization'], 'SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token');
});

t.test('a path keeps its slashes and nothing else that is reserved', async (t) => {
  t.equal(encodePath("/bucket/a b(c)'*!~é"), '/bucket/a%20b%28c%29%27%2A%21~%C3%A9');
});
