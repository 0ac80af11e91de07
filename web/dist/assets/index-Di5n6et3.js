import{o,l as s,C as a,D as u}from"./index-CtJfhqnq.js";import{g as i,i as c,u as d}from"./vue-i18n-Cq6weoxx.js";const l="update:modelValue",N="change",f="input",n={prefix:Math.floor(Math.random()*1e4),current:0},I=Symbol("elIdInjection"),p=()=>i()?c(I,n):n,g=r=>{const e=p();!o&&e===n&&s("IdInjection",`Looks like you are using server rendering, you must provide a id provider to ensure the hydration process to be succeed
usage: app.provide(ID_INJECTION_KEY, {
  prefix: number,
  current: number,
})`);const t=a();return u(()=>d(r)||`${t.value}-id-${e.prefix}-${e.current++}`)};export{N as C,f as I,l as U,p as a,g as u};
