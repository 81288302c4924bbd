import t from 'tap';

import { SUP_ERRORS } from './errors.ts';

t.test('every code says what it means, why it comes and what to do', async (t) => {
  for (const [code, entry] of Object.entries(SUP_ERRORS)) {
    t.match(code, /^SUP_[A-Z_]+$/);
    for (const text of Object.values(entry)) t.match(text, /^\w.{5,}\.$/s, `${code}: ${text}`);
  }
});
