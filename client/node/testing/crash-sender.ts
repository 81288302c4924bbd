/**
 * A process that is made to be killed: sends numbers on a registered disk store, and says each one that was promised.
 *
 * Arguments: address, directory, recipient. It goes on where its history ends, as a restarted application would.
 */

import { createClient } from '../index.ts';

const [url = '', directory = '', to = ''] = process.argv.slice(2);
const client = await createClient({ url, store: directory });
void client.connect();
const [last] = await client.history(to, { limit: 1 });
for (let number = Number(last?.text ?? -1) + 1; ; number += 1) {
  await client.enqueue(to, String(number));
  // Written without waiting: what was said before the kill was promised.
  process.stdout.write(`${number}\n`);
}
