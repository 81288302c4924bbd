import t from 'tap';
import { openTicket, sealTicket, ticketKey, type Ticket } from './ticket.ts';

const KEY = ticketKey('00'.repeat(32));
const TICKET: Ticket = {
  expiresAtMs: 1_700_000_000_000,
  user: '012345678901234',
  bytes: 142_606_336,
  id: 'ab'.repeat(16),
};
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

t.test('a ticket comes back as it was sealed, until it expires', async (t) => {
  const sealed = text(sealTicket(KEY, TICKET));
  t.strictSame(openTicket(KEY, sealed, TICKET.expiresAtMs - 1), TICKET);
  t.equal(openTicket(KEY, sealed, TICKET.expiresAtMs), undefined);
});

t.test('a ticket with any bit changed, of another installation, or cut is none', async (t) => {
  const sealed = sealTicket(KEY, TICKET);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const bent = sealed.slice();
    bent[bit >> 3]! ^= 1 << (bit & 7);
    t.equal(openTicket(KEY, text(bent), 0), undefined, `bit ${bit}`);
  }
  t.equal(openTicket(ticketKey('01'.repeat(32)), text(sealed), 0), undefined);
  for (const wrong of ['', 'x', text(sealed.subarray(1)), `${text(sealed)}AA`, `${text(sealed)}=`]) {
    t.equal(openTicket(KEY, wrong, 0), undefined, wrong);
  }
});
