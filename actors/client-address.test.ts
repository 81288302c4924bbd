import t from 'tap';
import { clientAddress } from './client-address.ts';

t.test('an IPv4 address stands for itself, in every form', async (t) => {
  t.equal(clientAddress('192.0.2.7'), '192.0.2.7');
  t.equal(clientAddress('::ffff:192.0.2.7'), '192.0.2.7');
  t.equal(clientAddress('0000:0000:0000:0000:0000:ffff:192.0.2.7'), '192.0.2.7');
});

t.test('an IPv6 address stands for its /64, in every form', async (t) => {
  const same = ['2001:db8::1', '2001:db8:0:0:1:2:3:4', '2001:0DB8:0000:0000:ffff:0000:0000:0001', '2001:db8::'];
  for (const address of same) t.equal(clientAddress(address), '2001:db8:0:0::/64', address);
  t.equal(clientAddress('::1'), '0:0:0:0::/64');
  t.not(clientAddress('2001:db8:0:1::1'), clientAddress('2001:db8:0:2::1'));
});

t.test('behind a proxy it is the last entry that counts: the others are the client’s own words', async (t) => {
  t.equal(clientAddress('127.0.0.1', '192.0.2.7'), '192.0.2.7');
  t.equal(clientAddress('127.0.0.1', '10.0.0.1, 192.0.2.7'), '192.0.2.7');
  t.equal(clientAddress('127.0.0.1', '10.0.0.1 ,2001:db8::9'), '2001:db8:0:0::/64');
  t.equal(clientAddress('127.0.0.1', ''), '127.0.0.1', 'a proxy that adds nothing');
  t.equal(clientAddress('127.0.0.1', 'unknown'), 'unknown');
});
