import t from 'tap';
import { safeFileName } from './file-name.ts';

t.test('a name that a sender chose leads nowhere', async (t) => {
  for (const [name, expected] of [
    ['photo.jpg', 'photo.jpg'],
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\autoexec.bat', 'autoexec.bat'],
    ['.bashrc', 'bashrc'],
    ['..', 'file'],
    ['', 'file'],
    ['a\u0000b\u001b[2J.txt', 'a_b__2J.txt'],
    ['Größe 1.pdf', 'Größe 1.pdf'],
    ['folder/', 'folder'],
    ['bill\u202efdp.exe', 'bill_fdp.exe'],
    ['𝒜'.repeat(101), '𝒜'.repeat(100)],
  ] as const) {
    t.equal(safeFileName(name), expected, JSON.stringify(name));
  }
});
