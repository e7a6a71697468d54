import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const [type = '', path = `${type}s`] = process.argv.slice(2)
const title = type.charAt(0).toUpperCase() + type.slice(1)

try {
  await makeEntity()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** Writes a noun that works as it is: its definition and its migration. The lines that register it are left to people. */
async function makeEntity(): Promise<void> {
  if (!/^[a-z]+$/.test(type) || !/^[a-z]+$/.test(path))
    throw new Error(
      'Name it by one word, and its plural when that is not just an s: npm run new-entity -- party parties',
    )
  const folder = join(root, 'backend/entities', path)
  if (existsSync(folder)) throw new Error(`backend/entities/${path} is there already`)
  const migration = await nextMigration()
  await mkdir(folder)
  await writeFile(join(folder, `${type}.entity.ts`), definition(), { flag: 'wx' })
  await writeFile(join(root, 'database/migrations', migration), tables(), { flag: 'wx' })
  console.log(`Made backend/entities/${path}/${type}.entity.ts
     database/migrations/${migration}

Now add
  to backend/entities/index.ts        import { ${type} } from './${path}/${type}.entity.ts'
                                      { entity: ${type}, offers: everything },
  to backend/entities/records.ts      '${type}'
  to backend/test/client.ts, paths    ${type}: '/${path}',
  and its examples                    ${type}: { name: 'One' },
  to backend/test/operations/records.ts
                                      ...records('${title}', '${type}', { name: 'One' }),
  to backend/test/expectations.ts     ...records('${title}', '${type}'),`)
}

async function nextMigration(): Promise<string> {
  const files = await readdir(join(root, 'database/migrations'))
  const numbers = files.map((file) => Number.parseInt(file, 10)).filter((number) => number > 0)
  return `${String(Math.max(0, ...numbers) + 1).padStart(4, '0')}_${path}.sql`
}

function definition(): string {
  return `import { defineEntity } from '../../kernel/entity/define.ts'
import { longText, ref, tags, text } from '../../kernel/entity/fields.ts'

/** TODO: what a ${type} is, in one sentence. */
export const ${type} = defineEntity({
  type: '${type}',
  path: '${path}',
  fields: {
    name: text({ required: true, sort: true, searched: 'A' }),
    description: longText({ searched: 'C', filter: [] }),
    ownerId: ref('user', { include: 'owner', absent: 'actor' }),
    tags: tags(),
  },
  title: (record) => String(record.name ?? ''),
  heldBy: ['ownerId'],
  verbs: [
    { verb: 'assigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is not null' },
    { verb: 'unassigned', when: 'n.owner_id is distinct from o.owner_id and n.owner_id is null' },
  ],
  searchable: true,
  example: { name: 'One' },
})
`
}

/** Each sort and each filter that is offered has its index: (tenant, member, id), and (tenant, member, created_at, id). */
function tables(): string {
  const listed = 'where deleted_at is null and archived_at is null'
  const sorted = ['created_at', 'updated_at', 'name'].map(
    (column) => `create index ${path}_${column}_sort on ${path} (tenant_id, ${column}, id) ${listed};`,
  )
  const filtered = ['name', 'owner_id', 'created_by_id'].map(
    (column) => `create index ${path}_${column} on ${path} (tenant_id, ${column}, created_at, id) ${listed};`,
  )
  return `-- Up Migration

create table ${path} (
  tenant_id uuid not null references tenants,
  id uuid not null,
  name text collate "und-x-icu" not null,
  description text,
  owner_id uuid,
  tags text[] not null default '{}',
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  created_by_id uuid,
  version integer not null default 1,
  external_id text,
  deleted_at timestamptz(3),
  archived_at timestamptz(3),
  primary key (tenant_id, id),
  foreign key (tenant_id, owner_id) references users on delete set null (owner_id)
);
create unique index ${path}_external_id on ${path} (tenant_id, external_id) where deleted_at is null and external_id is not null;
create index ${path}_archived on ${path} (tenant_id, archived_at, id) where deleted_at is null and archived_at is not null;
create index ${path}_deleted on ${path} (deleted_at) where deleted_at is not null;
${[...sorted, ...filtered].join('\n')}
call protect('${path}', 'select, insert, update', 'select, delete', 'select');
call commented('${path}', '${type}');

-- Down Migration

drop table ${path};
`
}
