// Every knob of a run, by section; those that differ from the baseline stand out, with the baseline's value.
import { Group, Skeleton, Switch, TextInput, Tooltip } from '@mantine/core';
import { IconSearch, IconSearchOff } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link } from 'react-router';

import { baselineQuery, runQuery, schemaQuery } from '../api/queries';
import type { RunDetail } from '../api/types';
import { differing, flatten, sections } from '../lib/config';
import { knobValue } from '../lib/format';
import { EmptyState } from './EmptyState';

export function ConfigView({ run }: { run: RunDetail }) {
  const [search, setSearch] = useState('');
  const [only, setOnly] = useState(false);
  const schema = useQuery(schemaQuery);
  const found = useQuery({ ...baselineQuery(run), enabled: Boolean(run.baseline) && !run.is_baseline });
  const reference = found.data ?? undefined;
  const baseline = useQuery({ ...runQuery(reference?.id ?? 0), enabled: reference !== undefined });

  const flat = useMemo(() => flatten(run.config), [run.config]);
  const base = useMemo(() => (baseline.data ? flatten(baseline.data.config) : null), [baseline.data]);
  const changed = useMemo(() => (base ? differing(flat, base) : new Set<string>()), [flat, base]);
  const docs = useMemo(() => new Map(schema.data?.fields.map((knob) => [knob.path, knob])), [schema.data]);

  const shown = sections(flat)
    .map((section) => ({
      ...section,
      rows: section.rows.filter(({ path }) => path.toLowerCase().includes(search.toLowerCase()) && (!only || changed.has(path))),
    }))
    .filter((section) => section.rows.length > 0);

  return (
    <>
      <Group mb="md" gap="lg">
        <TextInput
          placeholder="Knob…"
          aria-label="Search the configuration"
          leftSection={<IconSearch size={16} />}
          value={search}
          onChange={(event) => setSearch(event.currentTarget.value)}
          w={230}
        />
        {reference && (
          <>
            <Switch size="sm" label="Only differences" checked={only} onChange={(event) => setOnly(event.currentTarget.checked)} />
            <span className="soft" style={{ fontSize: 13.5 }}>
              {base ? `${changed.size} of ${flat.size} knobs differ from ` : 'Comparing with '}
              <Link to={`/runs/${reference.id}?tab=config`}>{reference.name}</Link>
            </span>
          </>
        )}
        {run.is_baseline && <span className="soft">This run is the baseline.</span>}
      </Group>
      {baseline.isLoading && <Skeleton h={4} mb="md" />}
      {shown.length === 0 ? (
        <div className="card">
          <EmptyState icon={IconSearchOff} title="No knob matches" />
        </div>
      ) : (
        <div className="columns">
          {shown.map((section) => (
            <section key={section.name} className="card" style={{ overflow: 'hidden' }} aria-label={section.name}>
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">{section.name}</th>
                    <th scope="col" className="right">
                      value
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {section.rows.map(({ path, name, value }) => {
                    const knob = docs.get(path);
                    const differs = changed.has(path);
                    return (
                      <tr key={path} className={differs ? 'config-row differs' : 'config-row'}>
                        <td>
                          <Tooltip label={knob ? `${knob.doc}${knob.unit ? ` (${knob.unit})` : ''}` : path} multiline maw={360} position="right">
                            <span className="mono">{name}</span>
                          </Tooltip>
                        </td>
                        <td className="right mono" style={{ whiteSpace: 'normal', overflowWrap: 'anywhere' }}>
                          {knobValue(value)}
                          {differs && (
                            <div className="faint" style={{ fontSize: 11.5 }}>
                              baseline {base?.has(path) ? knobValue(base.get(path)) : 'has none'}
                            </div>
                          )}
                        </td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </section>
          ))}
        </div>
      )}
    </>
  );
}
