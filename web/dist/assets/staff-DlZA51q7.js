<<<<<<< HEAD:web/dist/assets/staff-DlZA51q7.js
import{a as s}from"./session-BRJowov4.js";import{c as a}from"./vue-i18n-BbBUHjK2.js";const t=["viewer","operator","admin"];function c(e){try{const r=(e.split(".")[1]??"").replace(/-/g,"+").replace(/_/g,"/"),{role:o}=JSON.parse(atob(r));return o&&t.includes(o)?o:"viewer"}catch{return"viewer"}}function u(){const e=s(),r=a(()=>c(e.session?.access_token??""));return{admin:e,role:r,may:n=>t.indexOf(r.value)>=t.indexOf(n)}}export{u};
=======
<<<<<<<< HEAD:web/dist/assets/staff-CgbNHU00.js
import{a as s}from"./session-AbO9ILYm.js";import{c as a}from"./vue-i18n-4twFCU15.js";const t=["viewer","operator","admin"];function c(e){try{const r=(e.split(".")[1]??"").replace(/-/g,"+").replace(/_/g,"/"),{role:o}=JSON.parse(atob(r));return o&&t.includes(o)?o:"viewer"}catch{return"viewer"}}function u(){const e=s(),r=a(()=>c(e.session?.access_token??""));return{admin:e,role:r,may:n=>t.indexOf(r.value)>=t.indexOf(n)}}export{u};
========
import{a as s}from"./session-BYr7jB9U.js";import{c as a}from"./vue-i18n-DbTVFn5b.js";const t=["viewer","operator","admin"];function c(e){try{const r=(e.split(".")[1]??"").replace(/-/g,"+").replace(/_/g,"/"),{role:o}=JSON.parse(atob(r));return o&&t.includes(o)?o:"viewer"}catch{return"viewer"}}function u(){const e=s(),r=a(()=>c(e.session?.access_token??""));return{admin:e,role:r,may:n=>t.indexOf(r.value)>=t.indexOf(n)}}export{u};
>>>>>>>> 1605c7fc (Pages of blind boxes: the wall, a box, opening an item card, orders and cards):web/dist/assets/staff-CLDq8KIo.js
>>>>>>> 67a6bc6a (Pages of blind boxes: the wall, a box, opening an item card, orders and cards):web/dist/assets/staff-CgbNHU00.js
