/**
 * Where traces go, from the settings `trace-*`. Pure.
 *
 * Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" (`OTEL_EXPORTER_OTLP_*`, whose form the settings have).
 */

/** Settings of tracing. */
export interface TracingConfig {
  /** Where traces are posted. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** One message in so many is traced. */
  readonly sample: number;
}

/** The path for an endpoint that names none. */
const TRACES_PATH = '/v1/traces';

/** The address to post to; without a path, the one that OTLP has for traces. */
export function readEndpoint(text: string): string | { readonly problem: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return { problem: 'expected the address of a collector, as in http://127.0.0.1:4318' };
  }
  // Said without repeating it.
  if (url.username !== '' || url.password !== '') return { problem: 'holds a password: say it in "trace-headers"' };
  if (url.pathname === '/') url.pathname = TRACES_PATH;
  return url.href;
}

/** `name=value,…`, values percent-encoded, as in OTEL_EXPORTER_OTLP_HEADERS; undefined for what is not. */
export function readHeaders(text: string): Readonly<Record<string, string>> | undefined {
  const headers: Record<string, string> = {};
  for (const part of text.split(',').filter((each) => each.trim() !== '')) {
    const [, name, value] = /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*([\x21-\x7e]+(?: +[\x21-\x7e]+)*)\s*$/.exec(part) ?? [];
    if (name === undefined || value === undefined) return undefined;
    const decoded = decode(value);
    if (decoded === undefined) return undefined;
    headers[name.toLowerCase()] = decoded;
  }
  return headers;
}

function decode(value: string): string | undefined {
  try {
    const decoded = decodeURIComponent(value);
    return /^[\x20-\x7e]+$/.test(decoded) ? decoded : undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with the settings, by name. */
export function tracingProblems(values: Readonly<Record<TraceSettingName, string | number>>): TraceProblem[] {
  const problems: TraceProblem[] = [];
  const endpoint = String(values['trace-endpoint']);
  const read = endpoint === '' ? '' : readEndpoint(endpoint);
  if (typeof read !== 'string') problems.push({ name: 'trace-endpoint', problem: read.problem });
  if (readHeaders(String(values['trace-headers'])) === undefined)
    problems.push({ name: 'trace-headers', problem: 'expected name=value, …' });
  return problems;
}

type TraceSettingName = 'trace-endpoint' | 'trace-headers' | 'trace-sample';

interface TraceProblem {
  readonly name: TraceSettingName;
  readonly problem: string;
}

/** What checked settings mean; undefined for no tracing. */
export function tracingOf(values: Readonly<Record<TraceSettingName, string | number>>): TracingConfig | undefined {
  const endpoint = String(values['trace-endpoint']);
  const url = endpoint === '' ? '' : readEndpoint(endpoint);
  const headers = readHeaders(String(values['trace-headers']));
  if (typeof url !== 'string' || url === '' || headers === undefined) return undefined;
  return { url, headers, sample: Number(values['trace-sample']) };
}
