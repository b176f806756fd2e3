{{- define "treadle.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "treadle.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{- $name := include "treadle.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Of what belongs to no namespace: another installation may have the same name elsewhere. */}}
{{- define "treadle.clusterName" -}}
{{- printf "%s.%s" (include "treadle.fullname" .) .Release.Namespace }}
{{- end }}

{{- define "treadle.selector" -}}
app.kubernetes.io/name: {{ include "treadle.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "treadle.labels" -}}
{{ include "treadle.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: treadle
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "treadle.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "treadle.fullname" .) }}
{{- end }}

{{- define "treadle.lease" -}}
{{- .Values.lease.name | default (include "treadle.fullname" .) }}
{{- end }}

{{- define "treadle.tokenSecret" -}}
{{- printf "%s-token-keys" (include "treadle.lease" .) }}
{{- end }}

{{- define "treadle.apiUrl" -}}
{{- .Values.api.url | default (printf "http://%s.%s.svc:%v" (include "treadle.fullname" .) .Release.Namespace .Values.api.port) }}
{{- end }}

{{- define "treadle.image" -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* What Pod Security calls restricted. */}}
{{- define "treadle.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "treadle.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What all our Pods have in common. */}}
{{- define "treadle.placement" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the operator does in each namespace that it serves: these verbs and no others; a test compares
them with the audit log. */}}
{{- define "treadle.rules" -}}
- apiGroups: [treadle.dev]
  resources: [statemachines, executions, activities]
  verbs: [get, list, watch]
- apiGroups: [treadle.dev]
  resources: [statemachinealiases]
  verbs: [list, watch]
# Children are Executions: it makes them, and stops them when nobody waits for them any more; for that
# the admission policy demands the verb `stop`.
- apiGroups: [treadle.dev]
  resources: [executions]
  verbs: [create, patch, stop]
- apiGroups: [treadle.dev]
  resources: [statemachines/status, statemachinealiases/status, executions/status]
  verbs: [update]
- apiGroups: [treadle.dev]
  resources: [statemachinerevisions, executionpages]
  verbs: [get, list, create, patch, delete]
# It never writes a decision: to change an Approval itself is not for it.
- apiGroups: [treadle.dev]
  resources: [approvals]
  verbs: [get, list, watch, create, delete]
- apiGroups: [treadle.dev]
  resources: [approvals/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
# Inputs above 128 KiB: it never reads one.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create, patch]
{{- end }}

{{- define "treadle.freePodsRules" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, patch]
{{- end }}

{{/* A hook's annotations; given: when, and its place among the hooks. */}}
{{- define "treadle.hook" -}}
helm.sh/hook: {{ first . }}
helm.sh/hook-weight: {{ last . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
