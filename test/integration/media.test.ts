/**
 * A file of 100 MiB from one client to another: three processes, real sockets, five cuts in each direction, and the memory of each
 * process watched by the kernel.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MemoryWatch } from '../../bench/harness/memory-watch.ts';
import { SECRET, type Command, type Report } from './media-person.fixture.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

const MIB = 1_048_576;
const FILE_BYTES = 100 * MIB;
const CUTS = 5;
const EXTRA_BYTES_MAX = 64 * MIB;
const ALICE = '+4915100000001';
const BOB = '+4915100000002';

/** A relay that breaks every connection through it when so many bytes have passed, several times. */
class CuttingRelay {
  readonly #sockets = new Set<Socket>();
  #passed = 0;
  #cutEvery = Infinity;
  cuts = 0;
  url = '';

  async listen(t: Test, target: string): Promise<this> {
    const server = createServer((socket) => this.#relay(socket, Number(new URL(target).port)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.close();
      this.#cut();
    });
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`;
    return this;
  }

  /** From now on cuts each time another `bytes` have passed, `CUTS` times. */
  arm(bytes: number): void {
    this.#passed = 0;
    this.cuts = 0;
    this.#cutEvery = bytes;
  }

  #relay(socket: Socket, port: number): void {
    const upstream = connect(port, '127.0.0.1');
    for (const each of [socket, upstream]) {
      this.#sockets.add(each);
      each.on('data', (chunk) => this.#count(chunk.length)).on('error', () => undefined);
      each.on('close', () => {
        this.#sockets.delete(each);
        socket.destroy();
        upstream.destroy();
      });
    }
    socket.pipe(upstream).pipe(socket);
  }

  #count(bytes: number): void {
    this.#passed += bytes;
    if (this.cuts >= CUTS || this.#passed < this.#cutEvery * (this.cuts + 1)) return;
    this.cuts += 1;
    this.#cut();
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }
}

/** A client in a process of its own. */
class RemotePerson {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(t: Test, server: ServerProcess, url: string, phone: string): Promise<RemotePerson> {
    const entry = fileURLToPath(new URL('./media-person.fixture.js', import.meta.url));
    const person = new RemotePerson(fork(entry, [url, phone], { serialization: 'advanced' }));
    t.teardown(() => person.#child.kill('SIGKILL'));
    await person.report('code-wanted');
    person.tell({ kind: 'code', code: await server.code(phone) });
    await person.report('ready');
    return person;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  tell(command: Command): void {
    this.#child.send(command);
  }

  report(kind: 'code-wanted' | 'ready'): Promise<Report>;
  report(kind: 'sent' | 'received'): Promise<Extract<Report, { sha256: string }>>;
  report(kind: Report['kind']): Promise<Report> {
    return new Promise((resolve, reject) => {
      this.#child.once('exit', (status) => reject(new Error(`the client ended with ${status}`)));
      this.#child.once('message', (report: Report) => {
        if (report.kind === kind) resolve(report);
        else reject(new Error(JSON.stringify(report)));
      });
    });
  }
}

interface Sent {
  readonly sha256: string;
  readonly bytes: number;
}

async function sendFile(person: RemotePerson, bytes: number): Promise<Sent> {
  person.tell({ kind: 'send', to: BOB, bytes });
  const { sha256 } = await person.report('sent');
  return { sha256, bytes };
}

async function receiveFile(t: Test, person: RemotePerson, sent: Sent): Promise<void> {
  person.tell({ kind: 'receive' });
  t.match(await person.report('received'), sent);
}

async function passOn(t: Test, from: RemotePerson, to: RemotePerson, bytes: number): Promise<void> {
  await receiveFile(t, to, await sendFile(from, bytes));
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

t.test('a memory watch sees memory that is taken: the control', { skip: process.platform !== 'linux' }, async (t) => {
  const watch = new MemoryWatch(process.pid);
  t.ok(Buffer.alloc(EXTRA_BYTES_MAX + MIB, 1).length > 0);
  t.ok(watch.extraBytes()! > EXTRA_BYTES_MAX, `${watch.extraBytes()} bytes`);
});

t.test(
  '100 MiB arrive over connections that are cut, in little memory, and only ciphertext is on the disk',
  { skip: process.platform === 'linux' ? false : 'memory is read from /proc' },
  async (t) => {
    const directory = temporaryDirectory(t);
    const server = await ServerProcess.start(t, directory);
    const relay = await new CuttingRelay().listen(t, server.url);
    const alice = await RemotePerson.start(t, server, relay.url, ALICE);
    const bob = await RemotePerson.start(t, server, relay.url, BOB);
    // Code that is loaded at the first file, and what it compiles to, is not the memory of a transfer.
    for (let round = 0; round < 2; round++) await passOn(t, alice, bob, 8 * MIB);
    const watches = { server: server.pid, alice: alice.pid, bob: bob.pid };
    const watched = Object.entries(watches).map(([name, pid]) => [name, new MemoryWatch(pid)] as const);

    relay.arm(FILE_BYTES / (CUTS + 1));
    const sent = await sendFile(alice, FILE_BYTES);
    t.equal(relay.cuts, CUTS, 'cuts while it went up');
    relay.arm(FILE_BYTES / (CUTS + 1));
    await receiveFile(t, bob, sent);
    t.equal(relay.cuts, CUTS, 'cuts while it came down');

    for (const [name, watch] of watched) {
      const extra = watch.extraBytes()!;
      t.ok(extra < EXTRA_BYTES_MAX, `${name} took ${(extra / MIB).toFixed(1)} MiB more`);
    }
    const files = filesBelow(directory).map((path) => readFileSync(path));
    t.ok(
      files.some((file) => file.length > FILE_BYTES),
      'the file is there',
    );
    t.notOk(
      files.some((file) => file.includes(SECRET)),
      'and not in the clear',
    );
  },
);
