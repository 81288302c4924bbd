/**
 * The key of a backup: from 64 digits that were drawn, or from a passphrase that a person chose.
 *
 *   digits      input = the 64 digits in ASCII: 212 bits, nothing to stretch
 *   passphrase  input = scrypt(passphrase in NFKC and UTF-8, salt, N = 2^cost, r, p, 32 bytes)
 *   key         HKDF-SHA-256(input, salt, "Blindbeam backup key v1" ‖ the file's header, 32 bytes)
 *
 * The whole header goes into the key, so that changing it gives a wrong key and not a cheaper one. Whoever has the file can
 * try passphrases at their own speed: each try costs them the memory and time below, and nothing can be done once they
 * are right. What is in the file: `client/backup-format.ts`.
 * Sources: RFC 7914 (scrypt), RFC 5869 (HKDF).
 */
import { concat, requireBytes } from './bytes.ts';
import { LIMITS } from './limits.ts';
import { primitives, type RandomBytes, type ScryptCost } from './primitives.ts';

/** What a person keeps apart from the backup. Secret. */
export type BackupSecret =
  { readonly kind: 'digits'; readonly digits: string } | { readonly kind: 'passphrase'; readonly passphrase: string };

/** 128 MiB and about 0.4 s natively (one core of an AMD EPYC, November 2026); some 3 s in plain JavaScript. */
export const DEFAULT_SCRYPT_COST: ScryptCost = Object.freeze({ costLog2: 17, blockSize: 8, parallelism: 1 });

const keyLabel = 'Blindbeam backup key v1';

/** Draws 64 digits, each one uniform. */
export function generateBackupDigits(random: RandomBytes): string {
  let digits = '';
  while (digits.length < LIMITS.backupDigitCount) {
    // 250 is the largest multiple of 10 that a byte holds; the rest would favour small digits.
    for (const byte of random(LIMITS.backupDigitCount)) if (byte < 250) digits += byte % 10;
  }
  return digits.slice(0, LIMITS.backupDigitCount);
}

/** Takes 64 digits as a person types them, with blanks and dashes between; undefined where they are not 64. */
export function parseBackupDigits(text: string): string | undefined {
  const digits = text.replace(/[\s-]/g, '');
  return digits.length === LIMITS.backupDigitCount && /^[0-9]+$/.test(digits) ? digits : undefined;
}

/** Whether a file may ask for such a cost: a forged header must not take more memory or time than this. */
export function isScryptCostAllowed({ costLog2, blockSize, parallelism }: ScryptCost): boolean {
  const isWithin = (value: number, min: number, max: number): boolean => value >= min && value <= max;
  return (
    isWithin(costLog2, LIMITS.scryptCostLog2Min, LIMITS.scryptCostLog2Max) &&
    isWithin(blockSize, 1, LIMITS.scryptBlockSizeMax) &&
    isWithin(parallelism, 1, LIMITS.scryptParallelismMax)
  );
}

/**
 * Derives the key of a backup.
 *
 * @param cost - For a passphrase; one that `isScryptCostAllowed`.
 * @param salt - 16 bytes.
 * @param header - The file's header, which has cost and salt in it.
 * @returns 32 bytes, secret, owned by the caller.
 * @throws {RangeError} Where digits or cost are not what they have to be.
 */
export async function deriveBackupKey(
  secret: BackupSecret,
  cost: ScryptCost,
  salt: Uint8Array,
  header: Uint8Array,
): Promise<Uint8Array> {
  requireBytes('salt', salt, LIMITS.backupSaltBytes);
  const input = secret.kind === 'digits' ? digitsOf(secret.digits) : await stretch(secret.passphrase, cost, salt);
  const info = concat(new TextEncoder().encode(keyLabel), header);
  return primitives.hkdfSha256(input, salt, info, LIMITS.streamKeyBytes);
}

function digitsOf(digits: string): Uint8Array {
  if (parseBackupDigits(digits) !== digits) throw new RangeError('"digits" expected 64 digits');
  return new TextEncoder().encode(digits);
}

function stretch(passphrase: string, cost: ScryptCost, salt: Uint8Array): Promise<Uint8Array> {
  if (!isScryptCostAllowed(cost)) throw new RangeError('"cost" expected a cost within the limits');
  return primitives.scrypt(new TextEncoder().encode(passphrase.normalize('NFKC')), salt, cost, LIMITS.streamKeyBytes);
}
