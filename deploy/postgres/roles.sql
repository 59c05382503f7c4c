-- The least roles of the platform in PostgreSQL. Run it as the owner of the tables or a superuser after each migration:
--
--     psql -v ON_ERROR_STOP=1 -v schema=jobplatform -f roles.sql DATABASE_URL
--
-- Nothing in it is a password: give each role that logs in one with \password, or let the server trust certificates. Run
-- again it changes nothing.
--
--     jp_app       the controller: every table but those of people
--     jp_web       dashboard, API and command line: what the controller has, and people
--     jp_client    who submits jobs and asks what became of them
--     jp_worker    what jobs ask and keep while they run; the worker itself needs no PostgreSQL
--     jp_beat      what fires schedules
--     jp_flower    Flower, which cancels what it revokes
--     jp_readonly  who looks into the tables with other programs
\set ON_ERROR_STOP on
begin;
set local client_min_messages = warning;

select format('create role %I login', name) from unnest(array[
    'jp_app', 'jp_web', 'jp_client', 'jp_worker', 'jp_beat', 'jp_flower', 'jp_readonly']) as role(name)
where not exists (select from pg_roles where rolname = name) \gexec

-- What nobody has unless it is given.
revoke all on schema :"schema" from public;
revoke all on all tables in schema :"schema" from public;
revoke all on all sequences in schema :"schema" from public;
revoke all on all functions in schema :"schema" from public;
revoke all on all tables in schema :"schema" from jp_app, jp_web, jp_client, jp_worker, jp_beat, jp_flower, jp_readonly;
revoke all on all sequences in schema :"schema" from jp_app, jp_web, jp_client, jp_worker, jp_beat, jp_flower, jp_readonly;
revoke all on all functions in schema :"schema" from jp_app, jp_web, jp_client, jp_worker, jp_beat, jp_flower, jp_readonly;
grant usage on schema :"schema" to jp_app, jp_web, jp_client, jp_worker, jp_beat, jp_flower, jp_readonly;

set local search_path = :"schema";

-- The controller and the web processes.
grant select, insert, update, delete on all tables in schema :"schema" to jp_app, jp_web;
grant usage on all sequences in schema :"schema" to jp_app, jp_web;
grant execute on all functions in schema :"schema" to jp_app, jp_web, jp_client, jp_worker, jp_beat, jp_flower;
revoke all on users, sessions, api_tokens, sign_in_slots, agent_plans from jp_app;
-- What is over is forgotten after a time.
grant select (session_hash, ends_at), delete on sessions to jp_app;
grant select (expires_at, revoked_at), delete on api_tokens to jp_app;
-- What job types take is told by the code that the controller has.
revoke insert, update, delete on job_types from jp_web;
revoke insert, update, delete on jobplatform_version from jp_app, jp_web;
-- Rows of the audit log are only ever added, and a trigger says so to the owner too, who alone prunes what is sealed.
revoke all on audit_log, audit_seals from jp_app, jp_web;
grant select, insert on audit_log, audit_seals to jp_app, jp_web;

-- Who submits: rows are added, and made due when Redis did not take their messages.
grant select, insert, update on jobs, idempotency_keys, batches to jp_client;
grant select, insert on job_dependencies to jp_client;
grant insert on batch_changes, cancellations to jp_client;
grant select on job_executions, duration_estimates, hungry_types, pauses to jp_client;
grant usage on all sequences in schema :"schema" to jp_client;

-- What a job asks while it runs.
grant select, update on jobs to jp_worker;
grant select on job_executions, job_dependencies, batches to jp_worker;
grant select, insert, update, delete on job_effects to jp_worker;
grant insert on cancellations to jp_worker;

-- What fires schedules: it makes jobs, and cancels those before.
grant select, insert, update on jobs, job_schedules to jp_beat;
grant select, insert on job_dependencies to jp_beat;
grant select on duration_estimates to jp_beat;
grant select, insert, update, delete on pauses to jp_beat;
grant insert on batch_changes, cancellations to jp_beat;
grant usage on all sequences in schema :"schema" to jp_beat;

-- What revokes jobs, and so settles what waits for them.
grant select, update on jobs, job_dependencies to jp_flower;
grant insert on batch_changes, cancellations to jp_flower;
grant usage on all sequences in schema :"schema" to jp_flower;

-- Who only looks, at everything but secrets of people.
grant select on all tables in schema :"schema" to jp_readonly;
revoke all on users, sessions, api_tokens, sign_in_slots, agent_plans, audit_log, audit_seals from jp_readonly;

-- A path that nobody else writes to, and bounds for who forgets to set them.
select format('alter role %I in database %I set %s', role.name, current_database(), setting)
from unnest(array['jp_app', 'jp_web', 'jp_client', 'jp_worker', 'jp_beat', 'jp_flower', 'jp_readonly']) as role(name),
    unnest(array[
        format('search_path = %I', :'schema'), 'lock_timeout = ''10s''',
        'idle_in_transaction_session_timeout = ''60s''']) as settings(setting) \gexec
select format('alter role %I in database %I set statement_timeout = %L', name, current_database(), bound)
from (values ('jp_app', '60s'), ('jp_web', '30s'), ('jp_client', '30s'), ('jp_worker', '30s'), ('jp_beat', '30s'),
    ('jp_flower', '30s'), ('jp_readonly', '15s')) as roles(name, bound) \gexec
commit;
