/**
 * The manifests in deploy/, linted: no field that Kubernetes or compose do not know, everything that is named is there, probes ask for paths that a node has,
 * settings are ours, commands are what the shell takes, and nothing runs as root or without bounds.
 *
 * The fields are those of the Kubernetes API reference (apps/v1, policy/v1, v1) and of the Compose Specification that are used here, and no others: a new one is
 * a line in a table below. Where `kubectl` is installed its own types are asked as well. Source: kubernetes.io/docs/reference/kubernetes-api, compose-spec.io.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { environmentName, SETTING_NAMES, SETTINGS } from '../actors/config/settings.ts';
import { ROOT, temporaryDirectory } from './integration/server-process.ts';

const read = (path: string): string => readFileSync(join(ROOT, 'deploy', path), 'utf8');

const text = z.string().min(1);
/** RFC 1123 label. */
const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
/** IANA service name, as names of ports are. */
const portName = z.string().regex(/^(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/);
const portNumber = z.int().min(1).max(65_535);
const quantity = z.string().regex(/^\d+(\.\d+)?(m|[KMGT]i?)?$/);
const labels = z.record(text, z.string());
const metadata = z.strictObject({ name, labels: labels.optional(), annotations: labels.optional() });
const selector = z.strictObject({ matchLabels: labels });
const count = z.int().min(1);

const service = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Service'),
  metadata,
  spec: z.strictObject({
    clusterIP: z.literal('None').optional(),
    selector: labels,
    ports: z.array(z.strictObject({ name: portName, port: portNumber, targetPort: portName })).min(1),
  }),
});

const disruptionBudget = z.strictObject({
  apiVersion: z.literal('policy/v1'),
  kind: z.literal('PodDisruptionBudget'),
  metadata,
  spec: z.strictObject({ maxUnavailable: z.int().min(1), selector }),
});

const probe = z.strictObject({
  httpGet: z.strictObject({ path: text, port: portName }),
  periodSeconds: count,
  failureThreshold: count.optional(),
});

const container = z.strictObject({
  name,
  image: z.string().regex(/:[^:]+$/, 'an image with a tag'),
  env: z.array(
    z.union([
      z.strictObject({ name: text, value: z.string() }),
      z.strictObject({
        name: text,
        valueFrom: z.strictObject({ fieldRef: z.strictObject({ fieldPath: z.literal('metadata.name') }) }),
      }),
    ]),
  ),
  ports: z.array(z.strictObject({ name: portName, containerPort: portNumber })),
  startupProbe: probe,
  readinessProbe: probe,
  livenessProbe: probe,
  lifecycle: z.strictObject({ preStop: z.strictObject({ exec: z.strictObject({ command: z.array(text).min(1) }) }) }),
  resources: z.strictObject({
    requests: z.strictObject({ cpu: quantity, memory: quantity }),
    limits: z.strictObject({ memory: quantity }),
  }),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  volumeMounts: z.array(
    z.strictObject({ name, mountPath: z.string().startsWith('/'), readOnly: z.literal(true).optional() }),
  ),
});

const podSpec = z.strictObject({
  terminationGracePeriodSeconds: count,
  securityContext: z.strictObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.int().min(1),
    fsGroup: z.int().min(1),
    seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
  }),
  topologySpreadConstraints: z.array(
    z.strictObject({
      maxSkew: count,
      topologyKey: text,
      whenUnsatisfiable: z.enum(['DoNotSchedule', 'ScheduleAnyway']),
      labelSelector: selector,
    }),
  ),
  containers: z.tuple([container]),
  volumes: z.array(
    z.union([
      z.strictObject({ name, secret: z.strictObject({ secretName: name }) }),
      z.strictObject({ name, emptyDir: z.strictObject({}) }),
    ]),
  ),
});

const claim = z.strictObject({
  metadata: z.strictObject({ name }),
  spec: z.strictObject({
    accessModes: z.tuple([z.literal('ReadWriteOnce')]),
    resources: z.strictObject({ requests: z.strictObject({ storage: quantity }) }),
  }),
});

const statefulSet = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('StatefulSet'),
  metadata,
  spec: z.strictObject({
    serviceName: name,
    replicas: count,
    podManagementPolicy: z.enum(['OrderedReady', 'Parallel']),
    selector,
    template: z.strictObject({
      metadata: z.strictObject({ labels, annotations: labels.optional() }),
      spec: podSpec,
    }),
    volumeClaimTemplates: z.array(claim),
  }),
});

const resource = z.discriminatedUnion('kind', [service, disruptionBudget, statefulSet]);
type Resource = z.infer<typeof resource>;
type StatefulSet = z.infer<typeof statefulSet>;

/** What is wrong with some manifests of Kubernetes, in sentences. */
function lintKubernetes(source: string): string[] {
  const documents = parseAllDocuments(source, { uniqueKeys: true });
  const broken = documents.flatMap(({ errors }) => errors.map(({ message }) => message));
  if (broken.length > 0) return broken;
  const parsed = documents.map((document) => resource.safeParse(document.toJS()));
  const wrong = parsed.flatMap(({ error }) => (error === undefined ? [] : [z.prettifyError(error)]));
  if (wrong.length > 0) return wrong;
  const resources = parsed.map(({ data }) => data!);
  return resources.flatMap((each) => (each.kind === 'StatefulSet' ? lintSet(each, resources) : []));
}

function lintSet(set: StatefulSet, resources: readonly Resource[]): string[] {
  const problems: string[] = [];
  const demand = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
  const { spec } = set;
  const { template, serviceName, volumeClaimTemplates, replicas } = spec;
  const [node] = template.spec.containers;
  const picks = (wanted: Readonly<Record<string, string>>): boolean =>
    Object.entries(wanted).every(([label, value]) => template.metadata.labels[label] === value);
  demand(picks(spec.selector.matchLabels), 'the selector picks other pods than those of the template');
  for (const { labelSelector } of template.spec.topologySpreadConstraints)
    demand(picks(labelSelector.matchLabels), 'pods are spread by labels that they do not have');
  const ports = new Set(node.ports.map((port) => port.name));
  let isGoverned = false;
  let isGuarded = false;
  for (const each of resources) {
    if (each.kind === 'PodDisruptionBudget') {
      isGuarded = picks(each.spec.selector.matchLabels) && each.spec.maxUnavailable < replicas;
    } else if (each.kind === 'Service') {
      demand(picks(each.spec.selector), `service ${each.metadata.name} leads to no pod`);
      for (const { targetPort } of each.spec.ports) demand(ports.has(targetPort), `no port ${targetPort}`);
      isGoverned ||= each.metadata.name === serviceName && each.spec.clusterIP === 'None';
    }
  }
  demand(isGoverned, `serviceName expected a headless service, got ${serviceName}`);
  demand(isGuarded, 'no disruption budget guards the pods');
  for (const [path, { httpGet }] of [
    ['/startupz', node.startupProbe],
    ['/readyz', node.readinessProbe],
    ['/livez', node.livenessProbe],
  ] as const) {
    demand(ports.has(httpGet.port), `a probe asks port ${httpGet.port}`);
    demand(httpGet.path === path, `a probe expected ${path}, got ${httpGet.path}`);
  }
  const volumes = [
    ...template.spec.volumes.map((volume) => volume.name),
    ...volumeClaimTemplates.map((each) => each.metadata.name),
  ];
  const mounts = node.volumeMounts.map((mount) => mount.name);
  demand(new Set(volumes).size === volumes.length, 'a volume is there twice');
  for (const mount of mounts) demand(volumes.includes(mount), `no volume ${mount}`);
  for (const volume of volumes) demand(mounts.includes(volume), `volume ${volume} is not used`);
  const data = node.volumeMounts.find(({ mountPath }) => mountPath === '/data')?.name;
  demand(
    volumeClaimTemplates.some((each) => each.metadata.name === data),
    'the store at /data is on no claimed volume',
  );
  const values = new Map(node.env.map((each) => [each.name, 'value' in each ? each.value : undefined]));
  problems.push(...lintSettings([...values.keys()]));
  for (const [setting, value] of values)
    for (const [, other] of (value ?? '').matchAll(/\$\((\w+)\)/g)) {
      const names = [...values.keys()];
      demand(names.includes(other!), `${setting} names ${other}, which is not there`);
      demand(names.indexOf(other!) < names.indexOf(setting), `${setting} names ${other}, which comes later`);
    }
  for (const [setting, value] of values)
    if (value?.startsWith('/') === true)
      demand(
        node.volumeMounts.some(({ mountPath }) => value.startsWith(`${mountPath}/`)),
        `${setting} is a file that is mounted nowhere`,
      );
  const pods = Array.from({ length: replicas }, (_, index) => `${set.metadata.name}-${index}`).join(',');
  demand(values.get('BLINDBEAM_CLUSTER_NODES') === pods, `BLINDBEAM_CLUSTER_NODES expected ${pods}`);
  const { command } = node.lifecycle.preStop.exec;
  problems.push(...lintCommand(command));
  const withinMs = Number(command[command.indexOf('--within-ms') + 1]);
  const graceMs = template.spec.terminationGracePeriodSeconds * 1_000;
  // The drain hands shards over and sends clients away; SIGTERM then does what is left of both.
  demand(graceMs >= 2 * withinMs + 30_000, `a grace of ${graceMs} ms ends a drain of ${withinMs} ms too early`);
  return problems;
}

/** Names of the environment that are no settings of a node, also as files with their values. */
function lintSettings(names: readonly string[]): string[] {
  const known = ['config', ...SETTING_NAMES].map(environmentName);
  return names
    .filter((each) => each.startsWith('BLINDBEAM_') && !known.includes(each.replace(/_FILE$/, '')))
    .map((each) => `no setting ${each}`);
}

/** What the shell said to commands that it was asked. */
const said = new Map<string, string[]>();

/** Whether the shell takes a command: it is given to it, with a socket where no node answers. What it refuses ends with 2, what finds no node with 1. */
function lintCommand([program, launcher, ...words]: readonly string[]): string[] {
  if (program !== 'node' || launcher !== 'bin/blindbeam.js')
    return [`${program} ${launcher} is not how a node is told`];
  const line = words.join(' ');
  const known = said.get(line);
  if (known !== undefined) return known;
  const { status, stderr } = spawnSync(process.execPath, [
    join(ROOT, launcher),
    ...words,
    '--socket',
    join(ROOT, 'no-node.sock'),
  ]);
  const problems = status === 1 ? [] : [`"${line}": ${String(stderr).trim()}`];
  said.set(line, problems);
  return problems;
}

t.test('the manifests of Kubernetes are in order', async (t) => {
  t.strictSame(lintKubernetes(read('kubernetes/blindbeam.yaml')), []);
});

t.test('mistakes that are planted in them are found', async (t) => {
  const source = read('kubernetes/blindbeam.yaml');
  const plant = (from: string, to: string): string => {
    t.ok(source.includes(from), from);
    return lintKubernetes(source.replace(from, to)).join('\n');
  };
  t.match(plant('runAsNonRoot', 'runAsNotRoot'), /runAsNotRoot/);
  t.match(plant('replicas: 3', 'replicas: three'), /expected number/);
  t.match(plant('replicas: 3', 'replicas: 4'), /BLINDBEAM_CLUSTER_NODES expected .*blindbeam-3/);
  t.match(plant('/readyz', '/ready'), /a probe expected \/readyz/);
  t.match(plant('targetPort: ws', 'targetPort: websocket'), /no port websocket/);
  t.match(plant('BLINDBEAM_NATS_CA', 'BLINDBEAM_NATS_CERT'), /no setting BLINDBEAM_NATS_CERT/);
  t.match(plant("'drain', '--within-ms'", "'drain', '--within'"), /--within/);
  t.match(plant("'node', 'drain'", "'node', 'empty'"), /empty/);
  t.match(plant('{ name: data, mountPath: /data }', '{ name: store, mountPath: /data }'), /no volume store/);
  t.match(plant('serviceName: blindbeam-nodes', 'serviceName: blindbeam'), /headless/);
  t.match(plant('terminationGracePeriodSeconds: 90', 'terminationGracePeriodSeconds: 30'), /too early/);
  t.match(plant('requests: { cpu', 'requests: { cpus'), /cpus/);
  t.match(plant('kind: Service\n', 'kind: Service\nkind: Service\n'), /unique/);
});

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
t.test('Kubernetes has every field', hasKubectl ? {} : { skip: 'kubectl is not installed' }, async (t) => {
  const file = join(temporaryDirectory(t), 'one.json');
  /** Fields that are gone after a way through the types of kubectl. */
  const lost = (before: unknown, after: unknown, path: string): string[] =>
    typeof before !== 'object' || before === null
      ? []
      : Object.entries(before).flatMap(([key, value]) => {
          const kept = (after as Readonly<Record<string, unknown>> | undefined)?.[key];
          return kept === undefined ? [`${path}.${key}`] : lost(value, kept, `${path}.${key}`);
        });
  const lostOf = (document: { readonly kind: string }): string[] => {
    writeFileSync(file, JSON.stringify(document));
    const verb = document.kind === 'StatefulSet' ? ['set', 'image', 'node=x'] : ['annotate', 'a=b'];
    const [first, ...rest] = verb;
    const output = execFileSync(
      'kubectl',
      [first!, ...rest.slice(0, -1), '--local', '-o', 'json', '-f', file, rest.at(-1)!],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
    );
    return lost(document, JSON.parse(output), document.kind);
  };
  const documents = parseAllDocuments(read('kubernetes/blindbeam.yaml')).map((each) => each.toJS() as StatefulSet);
  for (const document of documents) t.strictSame(lostOf(document), [], document.kind);
  const set = documents.find(({ kind }) => kind === 'StatefulSet')!;
  t.strictSame(lostOf(Object.assign({}, set, { spec: Object.assign({ replica: 3 }, set.spec) })), [
    'StatefulSet.spec.replica',
  ]);
});

const environment = z.record(text, z.string());
const restart = z.literal('always');
const composeService = z.strictObject({
  image: text,
  build: z.strictObject({ context: text, dockerfile: text }).optional(),
  env_file: text.optional(),
  environment,
  restart,
  stop_grace_period: z.string().regex(/^\d+s$/),
  ulimits: z.strictObject({ nofile: count }).optional(),
  depends_on: z.array(text).optional(),
  command: z.array(text).optional(),
  ports: z.array(z.string().regex(/^\d+:\d+$/)).optional(),
  volumes: z.array(z.string().regex(/^[\w./-]+:\/[\w./-]+(:ro)?$/)),
});
const compose = z.looseObject({
  name,
  services: z.record(name, composeService),
  volumes: z.record(name, z.strictObject({})),
});

/** What is wrong with a compose file, in sentences. Extensions are `x-…`, and nothing else is passed over. */
function lintCompose(source: string): string[] {
  const parsed = compose.safeParse(parse(source, { uniqueKeys: true, merge: true }));
  if (parsed.error !== undefined) return [z.prettifyError(parsed.error)];
  const { services, volumes } = parsed.data;
  const extra = Object.keys(parsed.data).filter((key) => !['name', 'services', 'volumes'].includes(key));
  const problems = extra.filter((key) => !key.startsWith('x-')).map((key) => `no field ${key}`);
  const shared = readVariables('cluster.env.example');
  problems.push(...lintSettings([...shared.keys()]));
  // Every node has all of that file: what is there of another's is found by whoever breaks into one.
  for (const key of shared.keys()) if (!key.startsWith('BLINDBEAM_')) problems.push(`every node is told ${key}`);
  const given = new Map([...shared, ...readVariables('passwords.env.example')]);
  const used = new Set<string>();
  for (const [own, each] of Object.entries(services)) {
    problems.push(...lintSettings(Object.keys(each.environment)));
    for (const other of each.depends_on ?? []) if (services[other] === undefined) problems.push(`no service ${other}`);
    for (const value of Object.values(each.environment))
      for (const [, variable] of value.matchAll(/\$\{(\w+)\}/g))
        if (!given.has(variable!)) problems.push(`${own}: nobody gives ${variable}`);
    for (const volume of each.volumes) {
      const [from] = volume.split(':');
      if (from === './tls' && 'BLINDBEAM_NODE' in each.environment) problems.push(`${own} has the servers' key`);
      if (from!.startsWith('.')) continue;
      used.add(from!);
      if (volumes[from!] === undefined) problems.push(`no volume ${from}`);
    }
    for (const [, host] of (each.command ?? []).join(' ').matchAll(/\/\/([\w-]+):/g))
      if (services[host!] === undefined) problems.push(`no service ${host}`);
  }
  for (const volume of Object.keys(volumes)) if (!used.has(volume)) problems.push(`volume ${volume} is not used`);
  const nodes = Object.values(services).flatMap(({ environment }) => environment.BLINDBEAM_NODE ?? []);
  if (nodes.join(',') !== given.get('BLINDBEAM_CLUSTER_NODES')) problems.push(`the nodes are ${nodes.join(',')}`);
  for (const [, host] of (given.get('BLINDBEAM_NATS') ?? '').matchAll(/\/\/([\w-]+):/g))
    if (services[host!] === undefined) problems.push(`no service ${host}`);
  return problems;
}

function readVariables(file: string): Map<string, string> {
  return new Map(Array.from(read(file).matchAll(/^([A-Z_\d]+)=(.*)$/gm), ([, key, value]) => [key!, value!]));
}

t.test('the compose file is in order, and a mistake in it is found', async (t) => {
  const source = read('compose.yaml');
  t.strictSame(lintCompose(source), []);
  const plant = (from: string, to: string): string => {
    t.ok(source.includes(from), from);
    return lintCompose(source.replace(from, to)).join('\n');
  };
  t.match(plant('depends_on: [nats-1', 'depends_on: [nats-0'), /no service nats-0/);
  t.match(plant('nofile', 'nofiles'), /nofile/);
  t.match(plant('BLINDBEAM_NODE: node-2', 'BLINDBEAM_NODE: node-9'), /the nodes are/);
  t.match(plant('node-3: {} }', 'node-4: {} }'), /no volume node-3/);
  t.match(plant("'${NODE_2_PASSWORD}'", "'${NODE_TWO_PASSWORD}'"), /nobody gives NODE_TWO_PASSWORD/);
  t.match(plant("'./tls/ca.pem:/etc/nats/ca.pem:ro', 'node-2", "'./tls:/etc/nats/tls:ro', 'node-2"), /servers' key/);
  t.match(plant('stop_grace_period: 60s', 'stop_grace: 60s'), /stop_grace/);
});

t.test('every node has a user on the NATS servers, with rights to its own subjects', async (t) => {
  const files = ['accounts', 'centre-accounts'].map((name) => read(`nats/${name}.conf`));
  const nodes = Object.keys((parse(read('compose.yaml'), { merge: true }) as { services: object }).services);
  for (const node of nodes.filter((each) => each.startsWith('node-'))) {
    for (const accounts of files) {
      t.ok(accounts.includes(`user: ${node},`), node);
      t.ok(accounts.includes(`"bb.main.to.${node}.*", "bb.main.page.${node}.*"`), node);
    }
  }
});

t.test('secrets are given as files or by name, never written down', async (t) => {
  const secrets = SETTING_NAMES.filter((each) => 'secret' in SETTINGS[each] && SETTINGS[each].secret).map(
    environmentName,
  );
  for (const file of ['kubernetes/blindbeam.yaml', 'compose.yaml', 'cluster.env.example', 'passwords.env.example'])
    for (const secret of secrets)
      for (const [, value] of read(file).matchAll(
        new RegExp(`${secret}(?!_FILE)[=:,][ \\t]*(?:value:\\s*)?([^\\s}]*)`, 'g'),
      ))
        t.match(value, /^(["']?\$\{\w*|)$/, `${file}: ${secret}`);
});
