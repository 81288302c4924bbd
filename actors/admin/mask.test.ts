import t from 'tap';
import { Pid } from '../../runtime/index.ts';
import { mask } from './mask.ts';

const PID = new Pid('blindbeam', 1, 2, 3);

t.test('what is known to be harmless is shown', async (t) => {
  const state = {
    self: PID,
    user: '100000000000001',
    senderOf: '100000000000001.2.7',
    phase: { name: 'live' },
    counts: [1, 2.5, true, null],
    commitQueueMax: 7,
    inbox: 'inbox.0',
    refusal: 'APP_OVERLOADED',
  };
  t.strictSame(mask(state), { ...state, self: '<blindbeam.1.2.3>' });
});

const SECRETS: readonly (readonly [what: string, value: unknown])[] = [
  ['a phone number', { to: '+4915100000001' }],
  ['a phone number without its sign', { to: '4915100000001' }],
  ['a phone number under which something lies', new Map([['+4915100000001', { tries: 1 }]])],
  ['a phone number as the name of a field', { '+4915100000001': 1 }],
  ['a code in letters', { code: 'abcdef' }],
  ['a code in digits', { entered: '123456' }],
  ['a code as a number', { code: 123456 }],
  ['a code in a Map of them', { codes: new Map([['+4915100000001', { code: '471147' }]]) }],
  ['bytes', { kept: new Uint8Array([0xde, 0xad, 0xbe, 0xef]) }],
  ['hex', { kept: 'deadbeefdeadbeefdeadbeefdeadbeefdeadbeef' + 'deadbeef' }],
  ['base64', { kept: 'q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k' }],
  ['a token in lower case', { resumeToken: 'abcdef' }],
  ['an address', { address: '192.0.2.17' }],
  ['an address elsewhere', { peer: '192.0.2.17' }],
  ['IPv6', { peer: '2001:db8::17' }],
  ['a sentence', { text: 'Meet me at the harbour tonight, bring nobody' }],
  ['a URL', { endpoint: 'https://push.example/send/AbCdEf0123456789' }],
];

t.test('everything else is not', async (t) => {
  for (const [what, value] of SECRETS) {
    const shown = JSON.stringify(mask(value));
    const secret = /4915100000001|abcdef|123456|471147|222|173|dead|q83v|192\.0|2001|harbour|AbCdEf/;
    t.notMatch(shown, secret, `${what}: ${shown}`);
  }
});

t.test('the shape of what is masked can be seen', async (t) => {
  t.strictSame(mask({ codes: new Map([['+4915100000001', { code: '471147', tries: 2 }]]) }), {
    codes: [['[text of 14]', { code: '[text of 6]', tries: 2 }]],
  });
  t.equal(mask(new Uint8Array(9)), '[9 bytes]');
  t.equal(mask('[3 more]'), '[3 more]');
  t.equal(mask(12n), '[bigint]');
});
