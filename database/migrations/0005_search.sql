-- Up Migration

-- What the search knows of each record, all nouns in one narrow table. Every lexeme of `tsv` begins with five letters
-- that stand for tenant and type (backend/modules/search/document.ts), so that the words of a tenant lie together in the
-- index: a prefix or a common word costs what this tenant has of it, whatever all the others have.
create table search_documents (
  tenant_id uuid not null,
  type text collate "C" not null,
  record_id uuid not null,
  version integer not null,
  deleted boolean not null,
  title_key text collate "C" not null,
  tsv tsvector not null,
  owner_id uuid,
  assignee_ids uuid[] not null,
  holders uuid[] not null,
  tags text[] not null,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (tenant_id, type, record_id)
);
create index search_documents_words on search_documents using gin (tsv) with (fastupdate = off);
create index search_documents_newest on search_documents (tenant_id, type, updated_at desc, record_id) where not deleted;
create index search_documents_title on search_documents (tenant_id, type, title_key, record_id) where not deleted;
create index search_documents_deleted on search_documents (updated_at) where deleted;
call protect('search_documents', 'select', 'select, insert, update, delete', 'select');

-- In how many documents of a tenant each word stands. Typed wrong, a word is looked for among those that begin or end with
-- the same letter, or have the same middle: no single edit spoils all three. The count is in no index, so that most
-- changes of it touch none.
create table search_words (
  tenant_id uuid not null,
  word text collate "C" not null,
  documents integer not null check (documents > 0),
  letters smallint not null generated always as (char_length(word)) stored,
  first text collate "C" not null generated always as (left(word, 1)) stored,
  last text collate "C" not null generated always as (right(word, 1)) stored,
  middle text collate "C" not null generated always as (substr(word, char_length(word) / 2, 3)) stored,
  primary key (tenant_id, word)
) with (fillfactor = 80);
create index search_words_first on search_words (tenant_id, first, letters) include (word);
create index search_words_last on search_words (tenant_id, last, letters) include (word);
create index search_words_middle on search_words (tenant_id, middle) include (word) where letters >= 6;
call protect('search_words', null, 'select, insert, update, delete', 'select');

-- The words of a document that the vocabulary counts: no numbers, no marks of tags and people, nothing very long.
create function search_vocabulary(document tsvector) returns setof text
language sql immutable parallel safe as $$
  select substr(lexeme, 6) from unnest(tsvector_to_array(document)) lexeme
  where char_length(lexeme) between 6 and 29 and substr(lexeme, 6) !~ '[0-9#@]'
$$;

-- Whether a document is held by those whose records the caller may see, and is among what he narrows the search to.
create function search_admits(
  document_holders uuid[], document_tags text[], document_owner uuid, document_assignees uuid[], document_created timestamptz,
  holders uuid[], tags text[], owner uuid, assignee uuid, created_after timestamptz, created_before timestamptz)
returns boolean language sql immutable parallel safe as $$
  select (holders is null or document_holders && holders) and (tags is null or document_tags && tags)
    and (owner is null or document_owner = owner) and (assignee is null or assignee = any (document_assignees))
    and (created_after is null or document_created >= created_after)
    and (created_before is null or document_created < created_before)
$$;

-- The functions below belong to the search role: for it the policy is `true`, which the planner drops, so that `@@` (which
-- is not leakproof) becomes an index condition. Under the application's policy it would be a filter over the whole tenant.

-- The candidates of a search, at most 201. Of each type it reads at most 50 documents by title, the newest 2,000 and 2,000
-- by words, however many the tenant has. Words that few have are looked up in the index of words. Words that many have are
-- looked for among the newest documents, and in the index only where these give too little.
--   wanted: for each type, whose records (holders; null: everybody's), and as text of tsqueries what the index is asked
--     (pick), what a document must have (full) and what lifts it (exact); null where no words are asked for
--   words: those of which the vocabulary says how many documents have them; rare: whether that is known to be few
create function search_candidates(wanted jsonb, words text[], rare boolean, title text, filters jsonb, sort text)
returns table (type text, record_id uuid, score real, owner_id uuid, tags text[], updated_at timestamptz)
language plpgsql stable security definer
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off set enable_sort = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  tenant uuid := current_tenant();
  one text;
  in_documents bigint;
  f_tags text[] := (select array_agg(tag) from jsonb_array_elements_text(filters -> 'tags') tag);
  f_owner uuid := filters ->> 'ownerId';
  f_assignee uuid := filters ->> 'assigneeId';
  f_after timestamptz := filters ->> 'createdAfter';
  f_before timestamptz := filters ->> 'createdBefore';
begin
  if tenant is null then return; end if;
  foreach one in array words loop
    exit when rare;
    select case when count(*) < 200 then coalesce(sum(w.documents), 0) end into in_documents from (
      select w.documents from search_words w
      where w.tenant_id = tenant and w.word >= one and w.word < one || chr(1114111) limit 200) w;
    rare := in_documents is not null and in_documents <= 2000;
  end loop;
  return query
  with wanted_types as materialized (
    select w.type, w.holders, w.pick::tsquery, w."full"::tsquery, w.exact::tsquery
    from jsonb_to_recordset(wanted) w(type text, holders uuid[], pick text, "full" text, exact text)
  ), titled as materialized (
    select w."full", w.exact, case when d.title_key = title then 20 else 10 end as lift, d.*
    from wanted_types w cross join lateral (
      select d.* from search_documents d
      where d.tenant_id = tenant and d.type = w.type and not d.deleted
        and d.title_key >= title and d.title_key < title || chr(1114111)
      order by d.title_key limit 50) d
    where title <> '' and search_admits(d.holders, d.tags, d.owner_id, d.assignee_ids, d.created_at, w.holders, f_tags, f_owner, f_assignee, f_after, f_before)
  ), newest as materialized (
    select w."full", w.exact, 0 as lift, d.* from wanted_types w cross join lateral (
      select d.* from (
        select d.* from search_documents d where d.tenant_id = tenant and d.type = w.type and not d.deleted
        order by d.updated_at desc limit 2000) d
      where (w."full" is null or d.tsv @@ w."full")
        and search_admits(d.holders, d.tags, d.owner_id, d.assignee_ids, d.created_at, w.holders, f_tags, f_owner, f_assignee, f_after, f_before)
      order by d.updated_at desc limit 200) d
    where not rare
  ), matching as materialized (
    select w."full", w.exact, 0 as lift, d.* from wanted_types w cross join lateral (
      select d.* from (
        -- The lexemes name tenant and type; "is true" keeps the planner from walking another index for them.
        select d.* from search_documents d
        where d.tsv @@ w.pick and (d.tenant_id = tenant and d.type = w.type) is true limit 2000) d
      where (w."full" is null or d.tsv @@ w."full")
        and search_admits(d.holders, d.tags, d.owner_id, d.assignee_ids, d.created_at, w.holders, f_tags, f_owner, f_assignee, f_after, f_before)
      order by d.updated_at desc limit 200) d
    where w.pick is not null and (rare or (select count(*) from newest) < 200)
  ), found as (
    select distinct on (d.type, d.record_id) d.* from (
      select * from titled union all select * from newest union all select * from matching) d
    order by d.type, d.record_id, d.lift desc
  ), ranked as (
    select d.*, (d.lift + case when d."full" is null then 0
      else 5 * ts_rank(d.tsv, d."full") + 5 * ts_rank(d.tsv, d.exact) end)::real as score from found d
  )
  select r.type, r.record_id, r.score, r.owner_id, r.tags, r.updated_at from ranked r
  order by case sort when 'updatedAt' then r.updated_at when 'createdAt' then r.created_at end,
    case sort when '-updatedAt' then r.updated_at when '-createdAt' then r.created_at end desc,
    case sort when 'title' then r.title_key end, case sort when '-title' then r.title_key end desc,
    r.score desc, r.updated_at desc, r.record_id limit 201;
end $$;

-- Words of the tenant's vocabulary that may be meant, the likeliest first; the caller counts the edits. Levenshtein counts
-- an exchange of neighbours as two, hence twice the edits.
create function search_near(wanted text, edits integer) returns table (word text, documents integer)
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  tenant uuid := current_tenant();
  n integer := char_length(wanted);
begin
  if tenant is null or n > 24 then return; end if;
  return query
  select w.word, w.documents from (
    select w.word, w.documents from search_words w
    where w.tenant_id = tenant and w.first = left(wanted, 1) and w.letters between n - edits and n + edits
      and levenshtein_less_equal(w.word, wanted, 2 * edits) <= 2 * edits
    union
    select w.word, w.documents from search_words w
    where w.tenant_id = tenant and w.last = right(wanted, 1) and w.letters between n - edits and n + edits
      and levenshtein_less_equal(w.word, wanted, 2 * edits) <= 2 * edits
    union
    -- Two edits can hit both ends.
    select w.word, w.documents from search_words w
    where edits = 2 and w.tenant_id = tenant and w.letters >= 6 and w.letters between n - edits and n + edits
      and w.middle = any (array(select substr(wanted, n / 2 + shift, 3) from generate_series(-2, 2) shift))
      and levenshtein_less_equal(w.word, wanted, 2 * edits) <= 2 * edits
  ) w
  order by levenshtein(w.word, wanted), w.documents desc, w.word limit 300;
end $$;

-- Both are offered before they are handed over: afterwards their maker may not speak for them.
call offer('search_candidates(jsonb, text[], boolean, text, jsonb, text)', 'app');
call offer('search_near(text, integer)', 'app');
do $$ begin
  execute format('grant create on schema public to %I', role_named('search'));
  execute format('alter function search_candidates(jsonb, text[], boolean, text, jsonb, text) owner to %I', role_named('search'));
  execute format('alter function search_near(text, integer) owner to %I', role_named('search'));
  execute format('revoke create on schema public from %I', role_named('search'));
end $$;

-- Down Migration

drop function search_near(text, integer), search_candidates(jsonb, text[], boolean, text, jsonb, text);
drop function search_admits(uuid[], text[], uuid, uuid[], timestamptz, uuid[], text[], uuid, uuid, timestamptz, timestamptz),
  search_vocabulary(tsvector);
drop table search_words, search_documents;
