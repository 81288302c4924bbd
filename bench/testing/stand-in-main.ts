/**
 * The stand-in as a process that takes the arguments of `blindbeam start` and logs the same events, so that the harness's
 * handling of processes can be tested with a server that misbehaves. `--fault`, `--at` and `--delay-ms` are its own.
 */

import { parseArgs } from 'node:util';
import { StandInServer, type Fault } from './stand-in-server.ts';

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    data: { type: 'string' },
    port: { type: 'string' },
    'log-format': { type: 'string' },
    workers: { type: 'string' },
    'address-connections': { type: 'string' },
    'address-connects': { type: 'string' },
    'address-registrations': { type: 'string' },
    fault: { type: 'string', default: 'none' },
    at: { type: 'string', default: '50' },
    'delay-ms': { type: 'string', default: '0' },
    /** `crash` ends at once, `die-under-load` at the first statistics asked for, `stubborn` does not listen to SIGTERM. */
    manner: { type: 'string', default: 'good' },
  },
});

function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ level: 'info', event, ...fields })}\n`);
}

const server = new StandInServer({
  fault: values.fault as Fault,
  at: Number(values.at),
  delayMs: Number(values['delay-ms']),
  log,
});

function statistics(): { readonly commits: number; readonly committedMessages: number } {
  return { commits: server.commits, committedMessages: server.committedMessages };
}

function crash(): never {
  process.stderr.write('the stand-in was told to crash\n');
  process.exit(70);
}

process.on('SIGUSR2', () => (values.manner === 'die-under-load' ? crash() : log('statistics', statistics())));
process.on('SIGTERM', () => {
  if (values.manner === 'stubborn') return;
  log('node_stopped', statistics());
  process.exit(0);
});

if (values.manner === 'crash') crash();
log('node_started', { url: await server.listen() });
