/**
 * Where media lie, as the setting `--media` says it: `disk`, or `s3://bucket/prefix?endpoint=https://…&region=…`. Pure.
 *
 * Credentials never stand in the address: a command line is read by every process of the machine.
 */

import type { Credentials } from './sigv4.ts';

/** A bucket of an object store that speaks S3. */
export interface S3Address {
  readonly kind: 's3';
  readonly bucket: string;
  /** Stands before every key: empty, or with a `/` at its end. */
  readonly prefix: string;
  /** Scheme, host and port. */
  readonly endpoint: string;
  readonly region: string;
}

export type MediaAddress = { readonly kind: 'disk' } | S3Address;

/** What is wrong with an address or its credentials, for a person; it repeats nothing of what was given. */
export interface AddressProblem {
  readonly problem: string;
}

const DEFAULT_REGION = 'us-east-1';
const FORM = 'disk or s3://bucket?endpoint=https://host&region=name';
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^[\w.-]+(\/[\w.-]+)*$/;

/** Reads an address. */
export function readAddress(text: string): MediaAddress | AddressProblem {
  if (text === 'disk') return { kind: 'disk' };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 's3:') return { problem: `expected ${FORM}` };
  if (url.username !== '' || url.password !== '') {
    return { problem: 'must hold no credentials: they are taken from the environment' };
  }
  if (!BUCKET.test(url.host)) return { problem: `expected the name of a bucket in ${FORM}` };
  const path = url.pathname.replaceAll(/^\/|\/$/g, '');
  if (path !== '' && !PREFIX.test(path)) return { problem: 'expected a prefix of letters, digits and "_.-/"' };
  return readParameters(url, path === '' ? '' : `${path}/`);
}

function readParameters({ host: bucket, searchParams }: URL, prefix: string): S3Address | AddressProblem {
  for (const name of searchParams.keys()) {
    if (name !== 'endpoint' && name !== 'region') return { problem: 'knows the parameters endpoint and region' };
  }
  const region = searchParams.get('region') ?? DEFAULT_REGION;
  const endpoint = searchParams.get('endpoint') ?? `https://s3.${region}.amazonaws.com`;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isOrigin = url !== undefined && url.pathname === '/' && url.search === '' && url.username === '';
  if (!isOrigin || !/^https?:$/.test(url.protocol))
    return { problem: 'expected an endpoint such as https://host:9000' };
  if (!/^[\w-]+$/.test(region)) return { problem: 'expected the name of a region' };
  return { kind: 's3', bucket, prefix, endpoint: url.origin, region };
}

/** Reads the credentials where other programs expect them, too. */
export function readCredentials(
  environment: Readonly<Record<string, string | undefined>>,
): Credentials | AddressProblem {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = environment;
  if (!accessKeyId || !secretAccessKey) {
    return { problem: 'needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment' };
  }
  return { accessKeyId, secretAccessKey, sessionToken: environment['AWS_SESSION_TOKEN'] || undefined };
}
