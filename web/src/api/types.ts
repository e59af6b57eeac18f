// Owns the short names of the contract's types. The long ones are generated from server/http/openapi.yaml by `npm run types`.
import type { components } from './schema';

type Schemas = components['schemas'];

export type WireNumber = Schemas['Number'];
export type RunState = Schemas['RunState'];
export type RunVerb = Schemas['RunVerb'];
export type VerbResult = Schemas['VerbResult'];
export type Queue = Schemas['Queue'];
export type Experiment = Schemas['Experiment'];
export type ExperimentDetail = Schemas['ExperimentDetail'];
export type ExperimentList = Schemas['ExperimentList'];
export type Run = Schemas['Run'];
export type RunDetail = Schemas['RunDetail'];
export type RunList = Schemas['RunList'];
export type ResultTable = Schemas['ResultTable'];
export type ResultRow = Schemas['ResultRow'];
export type SeriesList = Schemas['SeriesList'];
export type Series = Schemas['Series'];
export type ExpertLoad = Schemas['ExpertLoad'];
export type Device = Schemas['Device'];
export type DeviceList = Schemas['DeviceList'];
export type Health = Schemas['Health'];
export type MetricInfo = Schemas['MetricInfo'];
export type MetricCatalog = Schemas['MetricCatalog'];
export type ConfigSchema = Schemas['ConfigSchema'];
export type Knob = Schemas['Knob'];
export type Submission = Schemas['Submission'];
export type SubmissionResult = Schemas['SubmissionResult'];
export type Plan = Schemas['Plan'];
export type PlannedRun = Schemas['PlannedRun'];
export type Problem = Schemas['Problem'];
export type ErrorBody = Schemas['Error'];
