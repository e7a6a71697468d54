/*
 * The rings: app → modules → (entities | adapters) → kernel. An import may only point inward.
 * Each rule is proved by a planted violation in backend/test/architecture.test.ts.
 * An import of a type counts like any other, unless the rule says that types may pass.
 */

const tests = ['^backend/test/', '\\.(test|contract)\\.ts$']

/** What a package is called in an import, whether it was found (node_modules/x/...) or not (x/...). */
const packages = (...names) => `(^|/)node_modules/(@types/)?(${names.join('|')})(/|$)|^(${names.join('|')})(/|$)`

const vendors = packages(
  '@sendgrid/[^/]+',
  'nodemailer',
  '@aws-sdk/[^/]+',
  'twilio',
  'firebase-admin',
  '@elastic/[^/]+',
  'bullmq',
  'ioredis',
  '@bull-board/[^/]+',
  'web-push',
)

/** A folder of the backend, or the files beside the folders, and the parts of the backend which it may import. */
const ring = (name, comment, from, inward) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from, pathNot: tests },
  to: { path: '^backend/', pathNot: [...inward, ...tests] },
})

/** Folders of one ring which must not know each other: what another folder shows is `shown`. */
const apart = (name, comment, folder, shown = []) => ({
  name,
  comment,
  severity: 'error',
  from: { path: `^backend/${folder}/([^/]+)/`, pathNot: tests },
  to: { path: `^backend/${folder}/`, pathNot: [`^backend/${folder}/$1/`, ...shown, ...tests] },
})

const typesOnly = (name, comment, from, to) => ({
  name,
  comment,
  severity: 'error',
  from: { ...from, pathNot: tests },
  to: { ...to, dependencyTypesNot: ['type-only'] },
})

const only = (name, comment, places, to) => ({
  name,
  comment,
  severity: 'error',
  from: { pathNot: ['^node_modules/', ...places] },
  to: { path: to },
})

module.exports = {
  forbidden: [
    ring('kernel-knows-nobody', 'The kernel knows no noun, no vendor, nobody.', '^backend/kernel/', [
      '^backend/kernel/',
    ]),
    ring('entities-know-the-kernel', 'A noun is built on the kernel alone.', '^backend/entities/', [
      '^backend/(kernel|entities)/',
    ]),
    ring('adapters-know-the-kernel', 'An adapter is built on the kernel alone.', '^backend/adapters/', [
      '^backend/(kernel|adapters)/',
    ]),
    ring('modules-look-inward', 'A module is handed what the outer ring has.', '^backend/modules/', [
      '^backend/(kernel|entities|adapters|modules)/',
      '^backend/events\\.ts$',
    ]),
    ring('events-look-inward', 'The catalogue of events is made of nouns.', '^backend/events\\.ts$', [
      '^backend/(kernel|entities)/',
    ]),
    ring('config-looks-inward', 'The configuration is read before anything else exists.', '^backend/config\\.ts$', [
      '^backend/kernel/',
    ]),
    ring('main-starts-the-app', 'The process knows the app as a whole.', '^backend/main\\.ts$', [
      '^backend/(app|config)\\.ts$',
      '^backend/kernel/',
    ]),

    apart('entities-meet-by-definition', "Of another noun only its definition, '*.entity.ts'.", 'entities', [
      '\\.entity\\.ts$',
      '^backend/entities/records\\.ts$',
    ]),
    apart('adapters-keep-apart', 'A capability needs no other capability.', 'adapters'),
    apart('modules-keep-apart', "Modules meet in events, or in the types of a '*.port.ts'.", 'modules', [
      '\\.port\\.ts$',
    ]),

    typesOnly(
      'ports-lend-types',
      "Of another module's port only the types: app.ts hands over what fulfils them.",
      { path: '^backend/modules/([^/]+)/' },
      { path: '^backend/modules/.*\\.port\\.ts$', pathNot: '^backend/modules/$1/' },
    ),
    typesOnly(
      'events-lend-types',
      'Modules know the names and shapes of events; app.ts hands over the catalogue.',
      { path: '^backend/modules/' },
      { path: '^backend/events\\.ts$' },
    ),
    typesOnly(
      'events-take-types',
      'The catalogue derives its types from the nouns and loads none of them.',
      { path: '^backend/events\\.ts$' },
      { path: '^backend/entities/' },
    ),

    only(
      'config-is-handed-over',
      'The configuration is read by main.ts and app.ts, all others are given what they need.',
      ['^backend/(main|app)\\.ts$', '^scripts/', ...tests],
      '^backend/config\\.ts$',
    ),
    only('vendors-stay-in-adapters', 'A vendor is behind a port.', ['^backend/adapters/'], vendors),
    only(
      'emitter-stays-in-the-bus',
      'The bus is the one typed face of eventemitter2.',
      ['^backend/kernel/events/bus\\.ts$'],
      packages('eventemitter2'),
    ),
    only(
      'sockets-stay-in-live',
      'What goes out over a socket is decided in one place.',
      ['^backend/modules/live/'],
      packages('socket\\.io', '@socket\\.io/[^/]+'),
    ),
    only(
      'pg-stays-in-the-database',
      'Only kernel/db sets the tenant with each statement.',
      ['^backend/adapters/jobs/postgres\\.ts$', '^backend/kernel/db/', '^scripts/', ...tests],
      packages('pg', 'pg-[^/]+'),
    ),
    only(
      'tests-stay-tests',
      'What runs in production imports no test.',
      ['^scripts/bench/', '^scripts/.*\\.test\\.ts$', ...tests],
      tests.join('|'),
    ),
    {
      name: 'production-has-no-dev-packages',
      comment: 'An image is installed without devDependencies.',
      severity: 'error',
      from: { path: '^backend/', pathNot: tests },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'packages-are-declared',
      comment: 'What is imported stands in package.json: a package of a package can vanish.',
      severity: 'error',
      from: { path: '^(backend|scripts)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'imports-resolve',
      comment: 'An import that leads nowhere would escape every other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-cycles',
      comment: 'Files that import each other in a circle can only be understood together.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
  ],
  options: {
    // Without it nothing is read and nothing is found: TypeScript 7 has no parser which dependency-cruiser could use.
    parser: 'swc',
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: '(^|/)node_modules/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
}
