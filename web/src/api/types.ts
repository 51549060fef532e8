// The things of the API by the names that pages use. What they are is made from the server's own description
// (docs/formats/openapi.json, `npm run types`), so the console cannot drift from it.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Role = Schemas['Role'];
export type Me = Schemas['Me'];
export type Project = Schemas['Project'];
export type TrashItem = Schemas['TrashItem'];
export type TrashRestored = Schemas['TrashRestored'];
export type User = Schemas['User'];
export type Token = Schemas['Token'];
export type JobState = Schemas['JobState'];
/** A job in a list has neither history nor spec. */
export type Job = Schemas['JobRow'] & Partial<Pick<Schemas['Job'], 'history' | 'spec'>>;
export type JobFiles = Schemas['JobFiles'];
export type JobFile = Schemas['JobFile'];
export type Found = Schemas['Found'];
export type JobSpec = Schemas['JobNew'];
export type Node = Schemas['Node'];
export type Queue = Schemas['Queue'];
export type Volume = Schemas['Volume'];
export type Entry = Schemas['TreeEntry'];
export type Repository = Schemas['Repository'];
export type Tag = Schemas['Tag'];
export type Label = Schemas['Label'];
export type ImageLabel = Schemas['ImageLabel'];
export type ImageTrust = Schemas['ImageTrust'];
export type Accessory = Schemas['Accessory'];
export type Vulnerability = Schemas['Vulnerability'];
export type TrustKey = Schemas['TrustKey'];
export type TrustPolicy = Schemas['TrustPolicy'];
export type HealthRow = Schemas['HealthCheck'];
export type AuditEntry = Schemas['AuditEntry'];
export type Setting = Schemas['Setting'];
export type Member = Schemas['Member'];
export type MemberRole = Schemas['MemberRole'];
export type Robot = Schemas['Robot'];
export type RobotSecret = Schemas['RobotSecret'];
export type RobotGrant = Schemas['RobotGrant'];
export type Group = Schemas['Group'];
export type GroupShown = Schemas['GroupShown'];
export type Secret = Schemas['Secret'];
export type RemoteRegistry = Schemas['RemoteRegistry'];
export type ReplicationRule = Schemas['ReplicationRule'];
export type ReplicationRun = Schemas['ReplicationRun'];
export type ReplicationTask = Schemas['ReplicationTask'];
/** The answer to making one: the only time that the text is there. */
export type TokenMade = Schemas['TokenMade'];
export type Usage = Schemas['JobSamples'];
export type UsageSample = Schemas['JobSample'];
export type ImageQuota = Schemas['ImageQuota'];
export type ImagePolicy = Schemas['ImagePolicy'];
export type ImmutableRule = Schemas['ImmutableRule'];
export type RetentionRule = Schemas['RetentionRule'];
export type RetentionRun = Schemas['RetentionRun'];
export type RetentionRow = Schemas['RetentionRow'];
export type Webhook = Schemas['Webhook'];
export type WebhookEvent = Schemas['WebhookEvent'];
export type WebhookNew = Schemas['WebhookNew'];
export type WebhookChange = Schemas['WebhookChange'];
export type WebhookDelivery = Schemas['WebhookDelivery'];
export type WebhookDeliveryWhole = Schemas['WebhookDeliveryWhole'];
export type RegistryStorage = Schemas['RegistryStorage'];
export type RegistryFreed = Schemas['RegistryFreed'];
export type RegistryCheck = Schemas['RegistryCheck'];
export type RegistryFinding = Schemas['RegistryFinding'];
