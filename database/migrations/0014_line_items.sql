-- Up Migration

-- The value of a deal is what somebody set, else what its lines come to. `value` stays what everybody reads.
alter table deals add column value_set numeric(15, 4), add column lines_total numeric(15, 4);
update deals set value_set = value where value is not null;

create function deal_value_follows() returns trigger language plpgsql as $$
begin
  -- Who writes `value` itself sets it by hand.
  if tg_op = 'INSERT' then
    new.value_set := coalesce(new.value_set, new.value);
  elsif new.value is distinct from old.value and new.value_set is not distinct from old.value_set then
    new.value_set := new.value;
  end if;
  new.value := coalesce(new.value_set, new.lines_total);
  return new;
end $$;
create trigger deal_value_follows before insert or update of value, value_set, lines_total on deals
  for each row execute function deal_value_follows();

-- What a deal is made of. A line has no currency: it is the deal's. All amounts are exact; a total is rounded once, to four
-- decimals, halves away from zero. Multiplied by 0.01 and not divided by 100: a division would round before.
create table deal_line_items (
  tenant_id uuid not null references tenants,
  id uuid not null,
  deal_id uuid not null,
  product_id uuid,
  name text not null,
  quantity numeric(15, 4) not null check (quantity > 0),
  unit_price numeric(15, 4) not null,
  discount_percent numeric(7, 4) check (discount_percent between 0 and 100),
  discount_amount numeric(15, 4) check (discount_amount >= 0),
  tax_percent numeric(7, 4) check (tax_percent between 0 and 100),
  total numeric(30, 4) not null generated always as (
    round(quantity * unit_price * (100 - coalesce(discount_percent, 0)) * 0.01 - coalesce(discount_amount, 0), 4)) stored,
  tax numeric(30, 4) not null generated always as (
    round(round(quantity * unit_price * (100 - coalesce(discount_percent, 0)) * 0.01 - coalesce(discount_amount, 0), 4)
      * coalesce(tax_percent, 0) * 0.01, 4)) stored,
  position double precision not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  created_by_id uuid,
  version integer not null default 1,
  primary key (tenant_id, id),
  check (num_nonnulls(discount_percent, discount_amount) <= 1),
  foreign key (tenant_id, deal_id) references deals on delete cascade,
  foreign key (tenant_id, product_id) references products on delete set null (product_id)
);
create index deal_line_items_deal on deal_line_items (tenant_id, deal_id, position, id);
create index deal_line_items_product on deal_line_items (tenant_id, product_id) where product_id is not null;
call protect('deal_line_items', 'select, insert, update, delete', 'select, delete');

-- Down Migration

drop table deal_line_items;
drop trigger deal_value_follows on deals;
drop function deal_value_follows();
alter table deals drop column lines_total, drop column value_set;
