/**
 * The certificate of a node: checked before it is used, and watched, because it ends sooner than a node does.
 *
 * The files are read again every few seconds, which needs no help of the file system, and works for what is mounted into
 * a container and swapped by a link. A pair that is half replaced, or wrong, is not taken: the one in use stays, and the log says why.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Clock, Logger } from '../runtime/index.ts';
import type { TlsFiles } from './config.ts';
import { LIMITS } from './limits.ts';
import { add, gauge, set } from './metrics/meter.ts';

/** What a certificate says of itself. */
export interface CertificateInfo {
  readonly subject: string;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
  /** SHA-256 of the certificate: tells two of them apart. */
  readonly fingerprint: string;
}

const EXPIRY = gauge('blindbeam_certificate_expiry_timestamp_seconds');
const TAKEN = gauge('blindbeam_certificate_reloads_total', { outcome: 'taken' });
const REFUSED = gauge('blindbeam_certificate_reloads_total', { outcome: 'refused' });

/**
 * Reads the pair and checks that it is one: the key is the certificate's, and it has begun and not ended.
 *
 * @returns What the certificate says, or what is wrong, in words that hold nothing of the key.
 */
export function checkPair(files: TlsFiles, nowMs: number): CertificateInfo | { readonly problem: string } {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFileSync(files.certificate));
  } catch (error) {
    return { problem: `the certificate ${files.certificate} cannot be read: ${(error as Error).message}` };
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(readFileSync(files.key))))
      return { problem: `the key ${files.key} is not the one of the certificate` };
  } catch (error) {
    // OpenSSL's words name no bytes of the key.
    return { problem: `the key ${files.key} cannot be read: ${(error as Error).message}` };
  }
  const expiresAtMs = Date.parse(certificate.validTo);
  if (expiresAtMs <= nowMs) return { problem: `the certificate ${files.certificate} ended on ${certificate.validTo}` };
  if (Date.parse(certificate.validFrom) > nowMs)
    return { problem: `the certificate ${files.certificate} begins on ${certificate.validFrom}` };
  const subject = certificate.subject?.replaceAll('\n', ', ') ?? '';
  return { subject, expiresAtMs, fingerprint: certificate.fingerprint256 };
}

/** What the watch needs of its node. */
export interface CertificateWatchOptions {
  readonly files: TlsFiles;
  /** What is in use. */
  readonly inUse: CertificateInfo;
  readonly clock: Clock;
  readonly log: Logger;
  /** Makes every worker take the pair. Rejects if one does not. */
  readonly take: (files: TlsFiles) => Promise<void>;
}

/** Looks at the files now and then, and has them taken when they have changed. */
export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  #files: TlsFiles;
  #inUse: CertificateInfo;
  /** What was wrong at the last look: it is told once. */
  #problem: string | undefined;
  #timer: unknown;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#files = options.files;
    this.#inUse = options.inUse;
    set(EXPIRY, options.inUse.expiresAtMs / 1_000);
    this.#schedule();
  }

  /** Looks now, at other files if they are given. Resolves when what was found is in use, or is refused. */
  look(files: TlsFiles = this.#files): Promise<void> {
    this.#files = files;
    this.#looking = this.#looking.then(() => this.#look());
    return this.#looking;
  }

  stop(): void {
    this.#options.clock.clearTimer(this.#timer);
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(LIMITS.certificateLookMs, () => {
      this.#schedule();
      void this.look();
    });
  }

  async #look(): Promise<void> {
    const { clock, log, take } = this.#options;
    const found = checkPair(this.#files, clock.nowMs());
    if ('problem' in found) return this.#refuse(found.problem);
    this.#problem = undefined;
    if (found.fingerprint === this.#inUse.fingerprint) return;
    try {
      await take(this.#files);
    } catch (error) {
      return this.#refuse((error as Error).message);
    }
    this.#inUse = found;
    add(TAKEN);
    set(EXPIRY, found.expiresAtMs / 1_000);
    log.info('certificate_taken', { subject: found.subject, expires: new Date(found.expiresAtMs).toISOString() });
  }

  #refuse(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    add(REFUSED);
    this.#options.log.error('certificate_refused', { problem });
  }
}
