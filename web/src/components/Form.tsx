// Fields of a form with their label, a hint, and what is wrong with them.

import { useId, type ReactNode } from "react";

interface Wiring {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string | undefined;
}

/** Labels a control and shows the fault beneath it, where the eye is. */
export function Field({ label, hint, fault, grow, children }: { label: string; hint?: string; fault?: string | undefined; grow?: boolean; children: (w: Wiring) => ReactNode }) {
  const id = useId();
  return (
    <div className={`formfield${grow ? " wide" : ""}`}>
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-invalid": !!fault, "aria-describedby": fault || hint ? `${id}-says` : undefined })}
      {fault ? (
        <span id={`${id}-says`} className="says tone-bad" role="alert">
          {fault}
        </span>
      ) : hint ? (
        <span id={`${id}-says`} className="says">
          {hint}
        </span>
      ) : null}
    </div>
  );
}

interface TextProps {
  label: string;
  value: string;
  set: (v: string) => void;
  hint?: string;
  fault?: string | undefined;
  mono?: boolean;
  grow?: boolean;
  number?: boolean;
  type?: "text" | "datetime-local" | "time";
  placeholder?: string;
  list?: string;
  max?: number;
  area?: boolean;
}

export function TextField({ label, value, set, hint, fault, mono, grow, number, type = "text", placeholder, list, max = 4096, area }: TextProps) {
  const cls = `${type === "datetime-local" ? "datein" : "field"}${mono ? " mono" : ""}`;
  return (
    <Field label={label} fault={fault} {...(hint ? { hint } : {})} {...(grow ? { grow } : {})}>
      {(w) =>
        area ? (
          <textarea {...w} className={`${cls} area`} value={value} onChange={(e) => set(e.target.value)} placeholder={placeholder} maxLength={max} spellCheck={false} rows={2} />
        ) : (
          <input {...w} className={cls} type={type} value={value} onChange={(e) => set(e.target.value)} placeholder={placeholder} list={list} maxLength={max} spellCheck={false} autoComplete="off" {...(number ? { inputMode: "decimal" as const } : {})} />
        )
      }
    </Field>
  );
}

export function SelectField({ label, value, set, options, hint, fault }: { label: string; value: string; set: (v: string) => void; options: [value: string, text: string][]; hint?: string; fault?: string | undefined }) {
  return (
    <Field label={label} fault={fault} {...(hint ? { hint } : {})}>
      {(w) => (
        <select {...w} className="field" value={value} onChange={(e) => set(e.target.value)}>
          {options.map(([v, text]) => (
            <option key={v} value={v}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
