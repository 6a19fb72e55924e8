{{- define "modelserving.name" -}}
{{- printf "%s-operator" (.Release.Name | trunc 54 | trimSuffix "-") -}}
{{- end -}}

{{- define "modelserving.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "modelserving.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "modelserving.selector" -}}
app.kubernetes.io/name: modelserving-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "modelserving.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{ include "modelserving.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "modelserving.port" -}}
{{- default 8080 .Values.settings.httpPort -}}
{{- end -}}
