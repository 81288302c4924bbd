/**
 * Certificates for tests of TLS, made by openssl, with keys on P-256: `NAME.crt` and `NAME.key` in a directory of the test's.
 *
 * A test that needs them is given `OPENSSL` as its options, which leave it out where there is no openssl.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Options of a test that makes certificates. */
export const OPENSSL: { readonly skip?: string } =
  spawnSync('openssl', ['version']).status === 0
    ? {}
    : { skip: 'openssl is not installed (Debian: apt-get install openssl)' };

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export interface CertificateOptions {
  /** Of its subject. Default: the name of its files. */
  readonly commonName?: string;
  /** What it is for, such as `IP:127.0.0.1`. Default: nothing but its subject. */
  readonly altNames?: string;
  /** How long it is good for, from now on. Default 2. */
  readonly days?: number;
}

/** Makes a certificate that vouches for itself. An authority is one, too. */
export function makeSelfSigned(directory: string, name: string, options: CertificateOptions = {}): void {
  const { altNames, days = 2 } = options;
  const extension = altNames === undefined ? [] : ['-addext', `subjectAltName=${altNames}`];
  openssl(directory, 'req', '-x509', ...newPair(name, options, 'crt'), '-days', `${days}`, ...extension);
}

/** Makes a certificate that the one called `authority` vouches for. */
export function makeSigned(directory: string, authority: string, name: string, options: CertificateOptions = {}): void {
  const { altNames, days = 2 } = options;
  openssl(directory, 'req', ...newPair(name, options, 'csr'));
  const extension = altNames === undefined ? '' : `subjectAltName=${altNames}\n`;
  writeFileSync(join(directory, `${name}.ext`), extension);
  const signing = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-days', `${days}`];
  const files = ['-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', `${name}.ext`];
  openssl(directory, 'x509', '-req', ...files, ...signing);
}

function newPair(name: string, { commonName = name }: CertificateOptions, ending: string): string[] {
  return [...NEW_KEY, '-subj', `/CN=${commonName}`, '-keyout', `${name}.key`, '-out', `${name}.${ending}`];
}

function openssl(directory: string, ...argv: readonly string[]): void {
  execFileSync('openssl', argv, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
}
