import t from 'tap';
import { criticalT } from './student.ts';

t.test('critical values are those of the published tables', async (t) => {
  // NIST/SEMATECH e-Handbook, 1.3.6.7.2: two-sided 95 % and 99 % (columns 0.975 and 0.995).
  const table: readonly (readonly [degrees: number, at95: number, at99: number])[] = [
    [1, 12.706, 63.657],
    [2, 4.303, 9.925],
    [3, 3.182, 5.841],
    [4, 2.776, 4.604],
    [5, 2.571, 4.032],
    [10, 2.228, 3.169],
    [30, 2.042, 2.75],
    [60, 2.0, 2.66],
    [100, 1.984, 2.626],
  ];
  for (const [degrees, at95, at99] of table) {
    t.ok(Math.abs(criticalT(0.95, degrees) - at95) < 0.0006, `95 % at ${degrees}: ${criticalT(0.95, degrees)}`);
    t.ok(Math.abs(criticalT(0.99, degrees) - at99) < 0.0006, `99 % at ${degrees}: ${criticalT(0.99, degrees)}`);
  }
});

t.test('with many degrees it is the normal distribution; between two rows it lies between them', async (t) => {
  t.ok(Math.abs(criticalT(0.95, 1e7) - 1.959964) < 1e-5);
  const between = criticalT(0.95, 2.5);
  t.ok(between < criticalT(0.95, 2) && between > criticalT(0.95, 3));
});

t.test('wrong calls are told', async (t) => {
  t.throws(() => criticalT(1, 3), RangeError);
  t.throws(() => criticalT(0.95, 0), RangeError);
});
