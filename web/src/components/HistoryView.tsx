// How a run went from state to state, and where its numbers come from.
import { Timeline } from '@mantine/core';

import type { RunDetail } from '../api/types';
import { dateTime, duration, knobValue, sentence } from '../lib/format';
import { lookOf } from '../lib/states';

function Alerts({ run }: { run: RunDetail }) {
  if (run.alerts.length === 0) return null;
  return (
    <section className="card" aria-labelledby="alerts-title">
      <div className="card-head">
        <h2 className="card-title" id="alerts-title">
          Alerts
        </h2>
      </div>
      <ul className="card-body" style={{ margin: 0, paddingLeft: 36 }}>
        {run.alerts.toReversed().map((alert, i) => (
          <li key={`${alert.time}-${i}`} style={{ marginBottom: 8 }}>
            {sentence(alert.message)}
            <div className="faint num" style={{ fontSize: 12.5 }}>
              <span className="mono">{alert.code}</span> · step {alert.step.toLocaleString('en-US')}, attempt {alert.attempt} · {dateTime(alert.time)}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function HistoryView({ run }: { run: RunDetail }) {
  const provenance = Object.entries(run.provenance);
  return (
    <div className="two-columns">
      <section className="card" aria-labelledby="history-title">
        <div className="card-head">
          <h2 className="card-title" id="history-title">
            State changes
          </h2>
        </div>
        <div className="card-body">
          {run.events.length === 0 ? (
            <p className="soft">Nothing has happened yet.</p>
          ) : (
            <Timeline active={run.events.length} bulletSize={26} lineWidth={2} color="gray">
              {run.events.map((event, index) => {
                const look = lookOf(event.to);
                const previous = run.events[index - 1];
                const after = previous ? (Date.parse(event.time) - Date.parse(previous.time)) / 1000 : null;
                return (
                  <Timeline.Item key={`${event.time}-${index}`} bullet={<look.icon size={15} stroke={2} />} title={look.label} styles={{ itemBullet: { background: 'var(--card)', borderColor: look.color, color: look.color } }}>
                    {event.reason && <div className="soft">{event.reason}</div>}
                    <div className="faint num" style={{ fontSize: 12.5 }}>
                      {dateTime(event.time)}
                      {after !== null && after >= 1 ? ` · ${duration(after)} later` : ''}
                    </div>
                  </Timeline.Item>
                );
              })}
            </Timeline>
          )}
        </div>
      </section>
      <Alerts run={run} />
      <section className="card" style={{ overflow: 'hidden' }} aria-label="Provenance">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Provenance</th>
              <th scope="col">value</th>
            </tr>
          </thead>
          <tbody>
            {[['key', run.key], ['run id', run.id], ...provenance].map(([name, value]) => (
              <tr key={String(name)}>
                <td className="mono">{String(name)}</td>
                <td className="mono" style={{ overflowWrap: 'anywhere' }}>
                  {knobValue(value)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}
