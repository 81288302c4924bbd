import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { blindbeam } from './operator-command.ts';
import { newPerson, until, PATIENCE_MS } from './people.ts';
import { ServerProcess, temporaryDirectory } from './server-process.ts';

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue: string };
}

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Attribute[];
}

/** A collector on the loopback that keeps every body. */
async function collect(t: Test): Promise<{ url: string; bodies: string[]; traces(): Map<string, Span[]> }> {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      bodies.push(`${request.method} ${request.url} ${body}`);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const traces = (): Map<string, Span[]> => {
    const spans = bodies.flatMap((body) => {
      const { resourceSpans } = JSON.parse(body.slice(body.indexOf('{')));
      return resourceSpans[0].scopeSpans[0].spans as Span[];
    });
    const byTrace = new Map<string, Span[]>();
    for (const span of spans) byTrace.set(span.traceId, [...(byTrace.get(span.traceId) ?? []), span]);
    return byTrace;
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies, traces };
}

function outcomeOf(spans: readonly Span[]): string | undefined {
  return spans.find(({ parentSpanId }) => parentSpanId === undefined)?.attributes?.[0]?.value.stringValue;
}

t.test('a collector gets the stages of a message across two workers and a reload, and learns of nobody', async (t) => {
  const collector = await collect(t);
  const directory = temporaryDirectory(t);
  const server = await ServerProcess.start(t, directory, [
    ...['--workers', '2', '--metrics-port', '0', '--trace-endpoint', collector.url, '--trace-sample', '1'],
  ]);
  const alice = await newPerson(t, server, '+4915100000081');
  const bob = await newPerson(t, server, '+4915100000082');
  await (
    await alice.client.send(bob.phone, 'a secret of the harbour')
  ).delivered;
  const acknowledged = (): Span[][] =>
    [...collector.traces().values()].filter((each) => outcomeOf(each) === 'acknowledged');
  await until('the trace', PATIENCE_MS, () => acknowledged().length >= 1);
  const spans = acknowledged()[0]!;
  t.strictSame(spans.map(({ name }) => name).sort(), ['accept', 'acknowledge', 'answer', 'commit', 'message', 'push']);
  const root = spans.find(({ name }) => name === 'message')!;
  for (const { name, parentSpanId, startTimeUnixNano, endTimeUnixNano } of spans) {
    if (name !== 'message') t.equal(parentSpanId, root.spanId, name);
    t.ok(BigInt(startTimeUnixNano) >= BigInt(root.startTimeUnixNano), `${name} begins within the whole`);
    t.ok(
      BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano) && BigInt(endTimeUnixNano) <= BigInt(root.endTimeUnixNano),
    );
  }

  const { name: group } = await alice.client.groups.create('Sailing', [bob.phone]);
  await (
    await alice.client.send(group, 'another harbour')
  ).delivered;
  const ofGroups = (): Span[][] => acknowledged().filter((each) => each.some(({ name }) => name === 'fan-out'));
  await until('the trace of a message to a group', PATIENCE_MS, () => ofGroups().length > 0);
  const fanned = ofGroups()[0]!;
  const stages = ['accept', 'acknowledge', 'answer', 'commit', 'fan-out', 'message', 'push'];
  t.strictSame(fanned.map(({ name }) => name).sort(), stages);
  const spanOf = (name: string): Span => fanned.find((each) => each.name === name)!;
  t.equal(spanOf('push').startTimeUnixNano, spanOf('fan-out').endTimeUnixNano, 'a push begins where it has arrived');
  for (const { name, parentSpanId } of fanned)
    if (name !== 'message') t.equal(parentSpanId, spanOf('message').spanId, name);

  const reload = () => blindbeam('reload', 'actors/connection', '--renumber', '--observe', '50', '--data', directory);
  let reloaded = await reload();
  // A machine that holds up a handler for a quarter of a second looks like a slow version; one that is slow is slow each time.
  for (let tries = 1; tries < 5 && /code_change_slow|handlers?_(stalled|slow)/.test(reloaded.out); tries++)
    reloaded = await reload();
  t.equal(reloaded.status, 0, reloaded.out);
  const before = acknowledged().length;
  await (
    await bob.client.send(alice.phone, 'and another')
  ).delivered;
  await until('a trace of the new version', PATIENCE_MS, () => acknowledged().length > before);
  t.strictSame(acknowledged().at(-1)!.length, 6);

  t.match(collector.bodies[0], /^POST \/v1\/traces /);
  const told = collector.bodies.join('\n');
  const secrets = [alice, bob].flatMap(({ phone, client }) => [phone, phone.slice(1), client.account!.user]);
  for (const secret of [...secrets, 'harbour', 'another', group, group.slice(-15)])
    t.notOk(told.includes(secret), `nothing of ${secret}`);
  t.equal(await server.stop(), 0);
});

t.test('a node whose collector is away serves as well, and says so', async (t) => {
  const directory = temporaryDirectory(t);
  const flags = [
    '--workers',
    '1',
    '--metrics-port',
    '0',
    '--trace-endpoint',
    'http://127.0.0.1:9',
    '--trace-sample',
    '1',
  ];
  const server = await ServerProcess.start(t, directory, flags);
  const alice = await newPerson(t, server, '+4915100000083');
  const bob = await newPerson(t, server, '+4915100000084');
  await (
    await alice.client.send(bob.phone, 'one')
  ).delivered;
  t.match(await server.line(({ event }) => event === 'traces_not_taken'), { reason: /./ });
  await (
    await alice.client.send(bob.phone, 'two')
  ).delivered;
  t.equal(await server.stop(), 0);
});
